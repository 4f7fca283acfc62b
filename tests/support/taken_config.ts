import { accept } from "../../src/config/accept.ts";
import { takeDirectory, type TakenConfig, type TakeOptions } from "../../src/config/pipeline.ts";
import type { NotLoaded } from "../../src/config/load.ts";
import type { BalancerPlugin, Schema } from "../../src/plugin/contract.ts";

const ANYTHING: Schema<unknown> = {
  "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) },
};

const BALANCER = { kind: "balancer", config: ANYTHING, cluster: ANYTHING } as unknown as BalancerPlugin;

const CATALOG: Parameters<TakeOptions["judge"]>[1]["catalog"] = {
  find: (kind, name) => ({ module: `builtin:${kind}/${name}`, origin: "builtin" }),
  names: () => [],
};

/** Loads a config directory with plugins of any name that accept every config. */
export function takeWithAnyPlugin(
  dir: string,
  options: Pick<TakeOptions, "role" | "signal" | "clock" | "readNameService" | "additions">,
  last?: TakenConfig,
): Promise<TakenConfig | NotLoaded> {
  return takeDirectory(dir, {
    ...options,
    checks: [],
    balancers: ["haproxy"],
    loadPlugins: () => Promise.resolve({ catalog: CATALOG, findings: [] }),
    judge: (desired, given) =>
      accept(desired, {
        ...given,
        ...options.clock !== undefined && { clock: options.clock },
        openBalancer: () => Promise.resolve(BALANCER),
        describe: (_module, config) =>
          Promise.resolve({
            ok: true,
            config,
            permissions: {},
            traits: { capabilities: ["watch", "register"], sections: [] },
          }),
        describeSection: (_module, _of, value) => Promise.resolve({ value }),
      }),
  }, last);
}
