/**
 * Where the writer keeps what outlives it, and what a command reads of that
 * which runs beside it.
 *
 * @module
 */
import type { Accepted } from "../config/accepted.ts";
import { readNewest } from "../membership/operator_orders.ts";
import { decodeTopology } from "../membership/topology_file.ts";
import type { Traffic } from "../membership/traffic.ts";
import { type Orders, ordersAt } from "../model/override.ts";
import { UndecidedError } from "../plugin/decider.ts";
import { ForeignBalancer } from "../supervisor/foreign_balancer.ts";

/** When nodes were members, and until when that was known. */
export interface KeptSightings {
  readonly sightings: Traffic["sightings"];
  readonly knownAtMs: number;
}

/**
 * The topology file: by default beside the file of the first balancer, one that ships and has a process if there is one.
 */
export async function topologyFileOf({ balancers, settings }: Accepted): Promise<string | undefined> {
  if (settings.topologyFile !== undefined) return settings.topologyFile;
  const all = [...balancers.values()];
  const shipped = all.filter(({ plugin }) => !(plugin instanceof ForeignBalancer));
  try {
    const kinds = await Promise.all(shipped.map(async ({ plugin, config }) => (await plugin.sources(config)).kind));
    const first = shipped[Math.max(0, kinds.indexOf("process"))] ?? all[0];
    return first && `${(await first.plugin.sources(first.config)).file}.topology`;
  } catch (error) {
    if (!(error instanceof UndecidedError)) throw error;
    return undefined;
  }
}

/**
 * The overrides files. Unless the config names one there are two: beside the topology file, where `plan` finds it, and
 * in the state directory, as the first moves with the first balancer. A process with both roles and neither of
 * them keeps overrides where a reporter keeps its drains. Pure.
 */
export function overridesFiles(
  { overridesFile, drainedFile }: Accepted["settings"],
  topologyFile: string | undefined,
  { stateDirectory, isReporter = false }: {
    readonly stateDirectory?: string | undefined;
    readonly isReporter?: boolean | undefined;
  } = {},
): readonly string[] {
  if (overridesFile !== undefined) return [overridesFile];
  const beside = topologyFile?.replace(/(?:\.topology)?$/, ".overrides");
  const files = [beside, stateDirectory && `${stateDirectory}/overrides`].filter((path) => path !== undefined);
  return files.length === 0 && isReporter && drainedFile !== undefined ? [drainedFile] : files;
}

/** What operators have said to the writer of a config, and that holds now; a file that cannot be used says nothing. */
export async function keptOrders(accepted: Accepted, nowMs: number): Promise<Orders> {
  const { orders } = await readNewest(overridesFiles(accepted.settings, await topologyFileOf(accepted)));
  return ordersAt(orders, nowMs);
}

/** What the writer of a config has kept of when nodes were members, and until when that was true; a file that cannot be used says nothing. */
export async function keptSightings(accepted: Accepted): Promise<KeptSightings> {
  const path = await topologyFileOf(accepted);
  const text = path === undefined ? undefined : await Deno.readTextFile(path).catch(() => undefined);
  const decoded = text === undefined ? undefined : await decodeTopology(text);
  if (decoded?.ok !== true) return { sightings: new Map(), knownAtMs: -Infinity };
  return { sightings: decoded.sightings, knownAtMs: Math.max(-Infinity, ...decoded.confirmed.values()) };
}
