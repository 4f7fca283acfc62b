import type { InstanceSpec, PluginInstance } from "../plugin/instance.ts";

/** One worker as it is wanted: its plugin, and the instances that it serves. */
export interface WorkerSpec {
  /** Unique, stable over changes of config: what is compared from one config to the next. */
  readonly key: string;
  /** `builtin:kind/name` or a `data:` URL. */
  readonly module: string;
  /** The plugin's kind. */
  readonly kind: "check" | "discovery" | "notifier";
  /** Sorted by id; one, unless workers are shared. */
  readonly instances: readonly InstanceSpec[];
}

/**
 * Groups instances into workers. `worker`: one each. `shared`: one for all
 * checks of a plugin, which may then touch the union of what they may touch;
 * a discovery connection always has a worker of its own. Pure.
 */
export function groupInstances(
  instances: readonly PluginInstance[],
  isolation: "worker" | "shared",
): readonly WorkerSpec[] {
  const groups = Map.groupBy(
    instances,
    ({ id, kind, module, plugin = module }) => isolation === "shared" && kind === "check" ? `shared ${plugin}` : id,
  );
  return [...groups].map(([key, members]) => {
    const [first] = members as [PluginInstance, ...PluginInstance[]];
    const specs = members.map(({ id, config, scope, granted }) => ({ id, config, scope, granted }));
    return {
      key,
      module: first.module,
      kind: first.kind,
      instances: specs.toSorted((a, b) => a.id < b.id ? -1 : 1),
    };
  }).toSorted((a, b) => a.key < b.key ? -1 : 1);
}

/** What is to be done to come from what runs to what is wanted. */
export type Action =
  | { readonly do: "start"; readonly spec: WorkerSpec }
  /** Make the new one before the old one is stopped. */
  | { readonly do: "replace"; readonly spec: WorkerSpec }
  | { readonly do: "stop"; readonly key: string };

/** Compares what is wanted with what runs (by key). What is equal is left alone. Pure. */
export function reconcile(wanted: readonly WorkerSpec[], running: ReadonlyMap<string, WorkerSpec>): readonly Action[] {
  const keys = new Set(wanted.map(({ key }) => key));
  const starts = wanted.flatMap((spec): Action[] => {
    const now = running.get(spec.key);
    if (now === undefined) return [{ do: "start", spec }];
    return JSON.stringify(now) === JSON.stringify(spec) ? [] : [{ do: "replace", spec }];
  });
  const stops = [...running.keys()].filter((key) => !keys.has(key)).map((key): Action => ({ do: "stop", key }));
  return [...starts, ...stops];
}
