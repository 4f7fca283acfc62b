import type { Clock } from "../kernel/clock.ts";
import { SILENT } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { EventRecord } from "../model/event_record.ts";
import type { PluginInstance } from "../plugin/instance.ts";
import { Fleet } from "../supervisor/fleet.ts";
import { groupInstances } from "../supervisor/reconcile.ts";

/** How long the delivery may take. */
const TIMEOUT_MS = 10_000;
/** How long the worker may take to answer, its start included. */
const DEADLINE_MS = 20_000;

/** Has a notifier deliver one event from a worker with the permissions of the daemon's. Throws why it did not. */
export async function deliverOnce(
  instance: PluginInstance,
  event: EventRecord,
  { clock, random, signal }: { readonly clock: Clock; readonly random: Random; readonly signal: AbortSignal },
): Promise<void> {
  const { promise: down, reject } = Promise.withResolvers<never>();
  down.catch(() => {});
  await using fleet = new Fleet({
    clock,
    random,
    log: SILENT,
    events: {
      onEvent() {},
      onReady() {},
      onDown: (_key, reason) => reject(new Error(reason)),
      onStuck() {},
    },
  });
  fleet.apply(groupInstances([instance], "worker"));
  const request = { type: "notify", instance: instance.id, events: [event], timeoutMs: TIMEOUT_MS } as const;
  await Promise.race([fleet.call(instance.id, request, { deadlineMs: DEADLINE_MS, signal }), down]);
}
