import type { Meter } from "../metrics/meter.ts";
import type { MetricName } from "../metrics/table.ts";

/** The durations that are spans, and what these are called. */
const SPANS: { readonly [Name in MetricName<"histogram">]?: string } = {
  lighthouse_config_apply_duration_seconds: "config.apply",
  lighthouse_propagation_seconds: "cluster.propagate",
  lighthouse_probe_duration_seconds: "probe",
  lighthouse_balancer_turn_duration_seconds: "balancer.turn",
};
/** What OpenTelemetry calls an error in the status of a span. */
const ERROR = 2;
/** The first runtime that is asked: older ones may end the process (2.4.2 does) instead of throwing. */
const SINCE = { major: 2, minor: 9 } as const;

/**
 * Opens what makes a span of OpenTelemetry of each duration of some, once it is over. Its attributes are the labels of
 * the metric and a few names of the config: no address, no reason, no text of others. `undefined` unless
 * the runtime exports spans (`OTEL_DENO=true`), which is found out by trying: the variable needs a permission.
 * Needs Deno 2.9.
 */
export function openSpans(
  { version, wallNow }: { readonly version: string; readonly wallNow: () => number },
): Meter | undefined {
  const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
  if (major < SINCE.major || major === SINCE.major && minor < SINCE.minor) return undefined;
  const tracer = Deno.telemetry.tracerProvider.getTracer("lighthouse", version);
  try {
    // Without an end it is never exported.
    tracer.startSpan("lighthouse");
  } catch {
    return undefined;
  }
  return {
    count() {},
    observe(name, labels, value, details) {
      const span = SPANS[name];
      if (span === undefined || !Number.isFinite(value)) return;
      const nowMs = wallNow();
      const attributes = Object.fromEntries(
        Object.entries({ ...labels, ...details }).map(([key, of]) => [`lighthouse.${key}`, of]),
      );
      const started = tracer.startSpan(span, { startTime: nowMs - value * 1_000, attributes }, undefined);
      if (details?.result === "fail") started.setStatus({ code: ERROR });
      started.end(nowMs);
    },
  };
}
