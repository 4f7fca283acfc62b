import { accept, type Accepted, discoveryId } from "../accept.ts";
import { wish } from "../app.ts";
import { Executor } from "../balance/executor.ts";
import { preview } from "../balance/preview.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";
import { loadDirectory } from "../config/load.ts";
import { systemClock } from "../kernel/clock.ts";
import { systemRandom } from "../kernel/random.ts";
import type { HostFacts, Step } from "../plugin/contract.ts";
import { CATALOG, loadBalancer } from "../plugins.ts";
import type { Log } from "../observe/log.ts";
import { Store } from "../registry/store.ts";
import { Describer } from "../supervisor/describer.ts";
import { Fleet } from "../supervisor/fleet.ts";
import { groupInstances } from "../supervisor/reconcile.ts";

/** What `plan` is told. */
export interface PlanOptions {
  readonly dir: string;
  /** How long the registries may take to answer. */
  readonly waitMs: number;
  readonly host: HostFacts;
  readonly log: Log;
  /** Takes each line, without its end. */
  readonly print: (line: string) => void;
}

/** Prints the file and the steps of each balancer, and touches nothing; answers the exit code. */
export async function plan({ dir, waitMs, host, log, print }: PlanOptions): Promise<0 | 1> {
  const logger = log.part("plan");
  const loaded = await loadDirectory(dir, { role: "writer", signal: AbortSignal.timeout(30_000) });
  if (!loaded.ok) {
    for (const diagnostic of loaded.diagnostics) logger.error(formatDiagnostic(diagnostic));
    return 1;
  }
  await using describer = new Describer({ clock: systemClock });
  const { accepted, diagnostics } = await accept(loaded.desired, {
    catalog: CATALOG,
    loadBalancer,
    describe: (module, raw, scope) => describer.describe(module, raw, scope),
  });
  const all = [...loaded.diagnostics, ...diagnostics];
  for (const diagnostic of all) {
    logger[diagnostic.severity === "error" ? "error" : "warn"](formatDiagnostic(diagnostic));
  }
  if (accepted.balancers.size === 0) {
    logger.error("There is nothing to plan as no balancer is configured", { wanted: `${dir}/balancers/haproxy.yaml` });
    return 1;
  }
  const store = new Store();
  for (const { plugin, config } of accepted.balancers.values()) {
    // What the running balancer was told last stands in for a registry that does not answer.
    const file = await Deno.readTextFile(plugin.sources(config).file).catch(() => "");
    for (const [cluster, nodes] of plugin.adopt(file, config)) store.adopt(cluster, nodes);
  }
  const silent = await readRegistries(accepted, store, { waitMs, log });
  if (silent.length > 0) {
    logger.warn("No registry answered in time: as last known", { clusters: silent.join(", "), waitMs });
  }
  for (const [name, balancer] of accepted.balancers) {
    const wanted = wish(name, balancer, accepted, store.topology.clusters, host);
    const { rendered, steps, running } = await preview(wanted, {
      balancer: balancer.plugin,
      effects: new Executor(),
      signal: AbortSignal.timeout(30_000),
    });
    print(`# ${name}: ${running ? "it answers at its socket" : "nobody answers at its socket"}; ${steps.length} steps`);
    for (const step of steps) print(`#   ${describeStep(step)}`);
    for (const notice of rendered.notices) print(`# notice: ${notice}`);
    print(`# --- ${balancer.plugin.sources(balancer.config).file} ---`);
    print(rendered.text.replace(/\n$/, ""));
  }
  return all.some(({ severity }) => severity === "error") ? 1 : 0;
}

/** Watches each cluster until it has been heard of once; answers those that were not in time. */
async function readRegistries(
  accepted: Accepted,
  store: Store,
  { waitMs, log }: { readonly waitMs: number; readonly log: Log },
): Promise<readonly string[]> {
  const clusters = [...accepted.clusters.values()].map(({ cluster }) => cluster);
  const silent = () => clusters.map(({ name }) => name).filter((name) => !store.heard(name));
  const heard = Promise.withResolvers<void>();
  const watch = (key: string) => {
    for (const { name, discovery } of clusters) {
      if (discoveryId(discovery) === key) fleet.post(key, { type: "watch", cluster: name });
    }
  };
  await using fleet = new Fleet({
    clock: systemClock,
    random: systemRandom,
    log: log.part("fleet"),
    events: {
      onEvent(_key, event) {
        if (event.type === "snapshot") store.replace(event.snapshot);
        if (event.type === "log") log.part("plugin")[event.level](event.message, event.properties);
        if (silent().length === 0) heard.resolve();
      },
      onReady: watch,
      onDown() {},
      onStuck() {},
    },
  });
  if (clusters.length === 0) return [];
  fleet.apply(groupInstances([...accepted.discovery.values()].map(({ instance }) => instance), "worker"));
  const cancel = systemClock.after(waitMs, () => heard.resolve());
  await heard.promise;
  cancel();
  return silent();
}

/** Writes a step for a person. */
export function describeStep(step: Step): string {
  switch (step.do) {
    case "command":
      return `send ${step.command}`;
    case "install":
      return `install ${step.path}, once ${step.check.join(" ")} accepts it${
        step.when === "soon" ? ", within a second" : ""
      }`;
    case "start":
      return `start, as ${step.reason}: ${step.run.join(" ")}`;
    case "reload": {
      const how = "run" in step.how ? step.how.run.join(" ") : `${step.how.signal} to ${step.how.pid}`;
      return `reload, as ${step.reason}: ${how}`;
    }
  }
}
