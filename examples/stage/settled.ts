import { type Host, REGISTRY_HOST } from "./fleet.ts";
import { askHaproxy } from "./haproxy.ts";
import { readConfig } from "./host_config.ts";
import { readRegistry } from "./registry.ts";

/**
 * Whether the services of the hosts that were just launched are all registered,
 * and every host serves exactly what is registered of the clusters it consumes.
 */
export async function isSettled(hosts: readonly Host[], launched: readonly Host[]): Promise<boolean> {
  const registered = await nodesByService(hosts);
  if (registered === undefined) return false;
  for (const host of launched) {
    const { services } = await readConfig(host);
    if (!services.every(({ name, port }) => registered.get(name)?.has(`${host.name}:${port}`))) return false;
  }
  for (const host of hosts.filter(hasLighthouse)) {
    const served = await servedBy(host);
    if (served === undefined) return false;
    for (const { name } of (await readConfig(host)).clusters) {
      const isWanted = registered.get(name) ?? new Set();
      if (isWanted.symmetricDifference(served.get(name) ?? new Set()).size > 0) return false;
    }
  }
  return true;
}

/** Whether nobody serves a node of a host any more. */
export async function isGone({ name }: Host, others: readonly Host[]): Promise<boolean> {
  for (const other of others.filter(hasLighthouse)) {
    for (const nodes of (await servedBy(other))?.values() ?? []) {
      if ([...nodes].some((node) => node.startsWith(`${name}:`))) return false;
    }
  }
  return true;
}

/** Whether Lighthouse runs on a host, and so HAProxy does. */
export function hasLighthouse({ programs }: Host): boolean {
  return programs.some(({ name }) => name === "lighthouse");
}

async function nodesByService(hosts: readonly Host[]): Promise<ReadonlyMap<string, ReadonlySet<string>> | undefined> {
  const registry = hosts.find(({ name }) => name === REGISTRY_HOST);
  const [server] = registry?.programs ?? [];
  if (registry === undefined || server === undefined) return undefined;
  const nodes = await readRegistry(`${registry.address}:${server.port}`);
  if (nodes === undefined) return undefined;
  const byService = Map.groupBy(nodes, ({ service }) => service);
  return new Map([...byService].map(([service, some]) => [service, new Set(some.map(({ node }) => node))]));
}

async function servedBy(host: Host): Promise<ReadonlyMap<string, ReadonlySet<string>> | undefined> {
  const state = await askHaproxy(host);
  return state === undefined ? undefined : new Map(
    state.backends.map(({ name, servers }) =>
      [name, new Set(servers.filter(({ isUp }) => isUp).map((server) => server.name))] as const
    ),
  );
}
