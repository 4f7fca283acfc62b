import assert from "node:assert/strict";
import { systemClock } from "../../src/kernel/clock.ts";
import type { ProbeOutcome } from "../../src/plugin/contract.ts";
import { decide } from "../../src/plugin/policy.ts";
import { Describer } from "../../src/supervisor/describer.ts";
import { toDenoPermissions } from "../../src/supervisor/permissions.ts";
import { PluginHost } from "../../src/supervisor/plugin_host.ts";

const WAIT = { deadlineMs: 60_000 };

/** A built-in check in a worker of its own, described and admitted as the reporter does. */
export interface CheckInWorker extends AsyncDisposable {
  /** Probes once; throws what the check threw. */
  probe(timeoutMs?: number): Promise<ProbeOutcome>;
  /** Stops the worker in order, whatever its state. */
  stop(): Promise<void>;
}

/**
 * Starts a built-in check with the permissions for `grantedFor`, which is the
 * target unless a test expects a denial. `change` may alter the config after
 * validation, which otherwise only a bug could do.
 */
export async function startInWorker(
  name: string,
  raw: unknown,
  target: string,
  { grantedFor = target, change = (config) => config }: {
    readonly grantedFor?: string;
    readonly change?: (config: Record<string, unknown>) => Record<string, unknown>;
  } = {},
): Promise<CheckInWorker> {
  const module = `builtin:check/${name}`;
  const scope = { instance: `test/${name}`, target: grantedFor };
  await using describer = new Describer({ clock: systemClock });
  const described = await describer.describe(module, raw, scope);
  assert.ok(described.ok, JSON.stringify(described));
  const grant = decide(described.permissions, { kind: "check", source: { module, origin: "builtin" }, scope });
  assert.ok(grant.ok, JSON.stringify(grant));
  await using stack = new AsyncDisposableStack();
  const host = stack.use(
    new PluginHost({
      name: scope.instance,
      module,
      permissions: toDenoPermissions(grant.granted),
      clock: systemClock,
    }),
  );
  await host.loaded();
  const config = change(described.config as Record<string, unknown>);
  await host.call({ type: "start", instance: scope.instance, config, scope: { ...scope, target } }, WAIT);
  const owned = stack.move();
  return {
    async probe(timeoutMs = 15_000) {
      const answer = await host.call({ type: "probe", instance: scope.instance, timeoutMs }, WAIT);
      assert.ok(answer.type === "outcome", JSON.stringify(answer));
      return answer.outcome;
    },
    stop: () => host.stop({ graceMs: 5_000 }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
