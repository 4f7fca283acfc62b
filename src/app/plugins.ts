import { systemClock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { systemRandom } from "../kernel/random.ts";
import { defaultCacheDir } from "../plugin/cache.ts";
import type { BalancerPlugin } from "../plugin/contract.ts";
import { PluginCatalog } from "../plugin/source.ts";
import { BUILTINS, HOST_PARTS } from "../../workers/builtins.ts";
import type { Hangs } from "../supervisor/hangs.ts";
import { BalancerPlugins } from "./balancer_plugins.ts";
import { PluginLoader } from "./plugin_loader.ts";

/** The plugins that ship. */
export const CATALOG: PluginCatalog = new PluginCatalog(BUILTINS.keys());

/** Loads a balancer that ships: it is pure, and runs in the host. Throws if there is none of that name. */
export async function loadBalancer(name: string): Promise<BalancerPlugin> {
  const load = HOST_PARTS.get(`balancer/${name}`) ?? BUILTINS.get(`balancer/${name}`);
  const plugin = (await load?.())?.default;
  if (plugin?.kind !== "balancer") {
    throw new Error(`Cannot load the ${name} balancer: no built-in balancer has this name`);
  }
  return plugin;
}

/** Makes what opens the plugins of balancers. */
export function makeBalancerPlugins({ log }: { readonly log: Logger }): BalancerPlugins {
  return new BalancerPlugins({
    loadBuiltin: loadBalancer,
    clock: systemClock,
    random: systemRandom,
    log,
  });
}

/** Where verified plugins are kept unless `lighthouse.yaml` says: what the environment gives, as far as it may be read. */
export function pluginCacheDir(): string {
  return defaultCacheDir((name) => {
    try {
      return Deno.env.get(name);
    } catch {
      return undefined;
    }
  });
}

/** Makes what loads the plugins of a `plugins.yaml`. */
export function makePluginLoader(
  { log, onLate, hangs }: {
    readonly log: Logger;
    readonly onLate?: () => void;
    readonly hangs?: Hangs | undefined;
  },
): PluginLoader {
  return new PluginLoader({
    builtins: CATALOG,
    cacheDir: pluginCacheDir(),
    clock: systemClock,
    random: systemRandom,
    log,
    hangs,
    ...onLate && { onLate },
  });
}
