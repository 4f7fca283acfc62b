import type { InstanceSpec, PluginInstance } from "../plugin/instance.ts";

/** Desired state of a worker: its plugin, and the instances that it serves. */
export interface WorkerSpec {
  /** Unique and stable across changes of the config: the key of the comparison. */
  readonly key: string;
  /** `builtin:kind/name` or a `data:` URL. */
  readonly module: string;
  /** The plugin's kind. */
  readonly kind: "check" | "discovery" | "notifier";
  /** Sorted by id; one, unless workers are shared. */
  readonly instances: readonly InstanceSpec[];
}

/**
 * Groups instances into workers. `worker`: one each. `shared`: one for all checks of a plugin, with
 * the union of their permissions; a discovery connection always has a worker of its own. Pure.
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

/** A step from the actual to the desired state. */
export type Action =
  | { readonly do: "start"; readonly spec: WorkerSpec }
  /** Start the new one before the old one is stopped. */
  | { readonly do: "replace"; readonly spec: WorkerSpec }
  | { readonly do: "stop"; readonly key: string };

/** Compares the desired with the running workers (by key). Equal ones are left alone. Pure. */
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
