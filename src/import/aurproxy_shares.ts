/**
 * aurproxy's share adjusters: a delay and a ramp are one slow start, and the
 * health check is the cluster's. Pure.
 *
 * @module
 */
import type { FileValue } from "./config_files.ts";
import type { Key } from "./report.ts";

/** A check of the nodes, and where it stands. */
export interface HealthCheck {
  readonly key: Key;
  /** `traffic.health`. */
  readonly value: FileValue;
  /** Its path and how it is asked, for a balancer that checks by itself. */
  readonly route: string;
  readonly method: string;
  readonly intervalS: number;
  readonly rise: number;
  readonly fall: number;
  readonly hasPort: boolean;
}

/** What the adjusters of one source come to. */
export interface Adjustment {
  readonly traffic?: FileValue | undefined;
  readonly health?: HealthCheck | undefined;
}

/** Nothing for `delay` seconds, then a part that grows from `from` to all in `ramp` seconds. */
interface SlowStart {
  readonly delay: number;
  readonly ramp: number;
  readonly from: number;
}

/** Reads the adjusters of a source; what would change its shares and is not converted is a reason. */
export function adjusted(list: Key | undefined, reasons: string[]): Adjustment {
  let slow: SlowStart | undefined;
  let health: HealthCheck | undefined;
  for (const key of list?.children ?? []) {
    const type = key.get("share_adjuster_class");
    switch (type?.text?.split(".").at(-1)) {
      case "DelayStartShareAdjuster": {
        type.converted("slow_start");
        const seconds = key.get("seconds");
        const delay = seconds?.take(seconds.number, "a number of seconds", "slow_start.delay") ?? 0;
        slow = product(slow, { delay, ramp: 0, from: 0 });
        break;
      }
      case "RampingShareAdjuster": {
        type.converted("slow_start");
        const [delay, ramp, curve] = [key.get("ramp_delay"), key.get("ramp_seconds"), key.get("curve")];
        key.get("update_frequency")?.replaced("weights change in steps of at least 1s");
        curve?.take(curve.text === "linear" ? curve.text : undefined, "linear", "slow_start.curve");
        slow = product(slow, {
          delay: delay?.take(delay.number, "a number of seconds", "slow_start.delay") ?? 0,
          ramp: ramp?.take(ramp.number, "a number of seconds", "slow_start.ramp") ?? 0,
          from: 0,
        });
        break;
      }
      case "HttpHealthCheckShareAdjuster":
        type.converted("traffic.health");
        health = healthCheck(key);
        break;
      default:
        (type ?? key).unsupported("no equivalent share adjuster");
        reasons.push("share adjuster");
    }
    key.get("as_of")?.unsupported("a node is new when it first appears in the registry");
  }
  if (slow === undefined) return { health };
  const { delay, ramp, from } = slow;
  const most = (seconds: number) => Math.min(3_600, Math.max(0, seconds));
  return {
    traffic: { slow_start: { delay: most(delay), ramp: most(ramp), from: `${Math.round(from * 100)}%` } },
    health,
  };
}

/** The product of a delay and a ramp: as far as both are one ramp, exactly. */
function product(a: SlowStart | undefined, b: SlowStart): SlowStart {
  if (a === undefined) return b;
  const [ramped, other] = a.ramp > 0 ? [a, b] : [b, a];
  if (other.delay <= ramped.delay || ramped.ramp === 0) {
    return { ...ramped, delay: Math.max(ramped.delay, other.delay) };
  }
  const gone = Math.min(ramped.ramp, other.delay - ramped.delay);
  return { delay: other.delay, ramp: ramped.ramp - gone, from: gone / ramped.ramp };
}

function healthCheck(key: Key): HealthCheck {
  const number = (name: string, to: string, standard: number) => {
    const each = key.get(name);
    return each?.take(each.number, "a number", `traffic.health.${to}`) ?? standard;
  };
  const text = (name: string, to: string) => {
    const each = key.get(name);
    return each?.take(each.text, "a string", `traffic.health.${to}`);
  };
  const route = text("route", "http.uri") ?? "/health";
  const method = text("http_method", "http.method")?.toUpperCase() ?? "GET";
  const port = text("port_name", "http.port_name");
  const intervalS = number("interval", "interval", 5);
  const rise = number("healthy_threshold", "http.rise", 2);
  const fall = number("unhealthy_threshold", "http.fall", 2);
  return {
    key,
    value: {
      interval: intervalS,
      http: {
        uri: route,
        ...method !== "GET" && { method },
        status: 200,
        timeout: number("timeout", "http.timeout", 3),
        rise,
        fall,
        ...port !== undefined && { port_name: port },
      },
    },
    route,
    method,
    intervalS,
    rise,
    fall,
    hasPort: port !== undefined,
  };
}
