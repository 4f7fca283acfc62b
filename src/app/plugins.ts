import { BUILTINS } from "../../workers/builtins.ts";
import type { BalancerPlugin } from "../plugin/contract.ts";
import { PluginCatalog } from "../plugin/source.ts";

/** The plugins that ship. */
export const CATALOG: PluginCatalog = new PluginCatalog(BUILTINS.keys());

/** Loads a balancer that ships: it is pure, and runs in the host. Throws if there is none of that name. */
export async function loadBalancer(name: string): Promise<BalancerPlugin> {
  const plugin = (await BUILTINS.get(`balancer/${name}`)?.())?.default;
  if (plugin?.kind !== "balancer") throw new Error(`Cannot load the balancer ${name}: none of that name ships`);
  return plugin;
}
