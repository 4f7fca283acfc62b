import { systemClock } from "../kernel/clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { systemRandom } from "../kernel/random.ts";
import { ForeignBalancer } from "../supervisor/foreign_balancer.ts";
import type { BalancerSubject } from "./balancer_rules.ts";
import { describe, type Subject } from "./plugin_rules.ts";

/** The functions of a balancer, for its rules. */
type Functions = NonNullable<BalancerSubject["functions"]>;

/**
 * Runs a balancer's functions as Lighthouse does, in a worker without any
 * permission, granted what it asks for with this config. Answers a reason if it
 * takes the config or the cluster's section not.
 */
export async function openBalancer(
  { source, name }: Subject,
  { example, section }: { readonly example: unknown; readonly section: unknown },
): Promise<{ readonly functions: Functions } & AsyncDisposable | { readonly refusal: string }> {
  const described = await describe(source, example, { instance: name });
  if (!described.ok) return { refusal: "the example config is rejected" };
  const plugin = new ForeignBalancer({
    name,
    source: { ...source, name: `balancer/${name}`, allow: described.permissions },
    clock: systemClock,
    random: systemRandom,
    log: SILENT,
  });
  const cluster = await plugin.cluster["~standard"].validate(section);
  if (cluster.issues !== undefined) {
    await plugin[Symbol.asyncDispose]();
    return { refusal: `no valid cluster section was given: ${cluster.issues[0]?.message}` };
  }
  return {
    functions: { plugin, config: described.config, cluster: cluster.value },
    [Symbol.asyncDispose]: () => plugin[Symbol.asyncDispose](),
  };
}
