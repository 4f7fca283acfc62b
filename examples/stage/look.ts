import { type Fleet, type Host, REGISTRY_HOST } from "./fleet.ts";
import { askHaproxy, type HaproxyState } from "./haproxy.ts";
import { configDir, type HostConfig, readConfig } from "./host_config.ts";
import { ensembleOf } from "./hosts.ts";
import { haproxyPids, pidsOf } from "./processes.ts";
import { readRegistry, type Registered } from "./registry.ts";
import { hasLighthouse } from "./settled.ts";

/** Returns lines with all hosts and what runs on each. */
export async function describeFleet(fleet: Fleet): Promise<readonly string[]> {
  const hosts = await fleet.hosts();
  if (hosts.length === 0) return ["No host is launched."];
  const rows = await Promise.all(
    hosts.map(async (host) => [host.name, host.type, host.address, await runningOn(host)]),
  );
  return columns([["NAME", "TYPE", "ADDRESS", "RUNS"], ...rows]);
}

async function runningOn(host: Host): Promise<string> {
  const programs = await Promise.all(host.programs.map(async (program) => {
    const runs = (await pidsOf(host, program)).length > 0;
    return runs ? program.name : `(${program.name} exited)`;
  }));
  const haproxy = (await haproxyPids(host)).length > 0 ? ["haproxy"] : [];
  return [...programs, ...haproxy].join(", ");
}

/** Returns lines about a host: its processes, its services, what its HAProxy serves, its znodes. */
export async function describeHost(fleet: Fleet, host: Host): Promise<readonly string[]> {
  const lines = [`${host.name} (${host.type}) at ${host.address}`, `runs: ${await runningOn(host)}`];
  const registry = (await fleet.hosts()).find(({ name }) => name === REGISTRY_HOST);
  const registered = registry === undefined ? undefined : await readRegistry(ensembleOf(registry));
  if (host.name === REGISTRY_HOST) return [...lines, ...describeZnodes(registered, () => true)];
  if (!hasLighthouse(host)) return lines;
  const config = await readConfig(host);
  return [
    ...lines,
    `files: ${configDir(host)}`,
    ...describeServices(host, config, registered),
    ...describeHaproxy(await askHaproxy(host), config),
    ...describeZnodes(registered, ({ node }) => node.startsWith(`${host.name}:`)),
  ];
}

function describeServices({ name: host }: Host, { services }: HostConfig, registered: readonly Registered[] = []) {
  if (services.length === 0) return [];
  const isUp = (name: string, port: number) =>
    registered.some(({ service, node }) => service === name && node === `${host}:${port}`);
  const rows = services.map(({ name, port }) => [name, String(port), isUp(name, port) ? "up" : "down"]);
  return ["services:", ...indented(columns(rows))];
}

function describeHaproxy(state: HaproxyState | undefined, { clusters }: HostConfig): readonly string[] {
  if (state === undefined) return ["haproxy: not running"];
  const shown = state.backends.filter(({ name, servers }) =>
    servers.length > 0 || clusters.some((cluster) => cluster.name === name)
  );
  const lines = shown.flatMap(({ name, servers }) => {
    const reachedAt = clusters.find((cluster) => cluster.name === name)?.reachedAt;
    const rows = servers.map(({ name, isUp, status, sessions }) => [
      name,
      isUp ? "up" : status.toLowerCase(),
      `sessions ${sessions}`,
    ]);
    return [reachedAt === undefined ? name : `${name} at ${reachedAt}`, ...indented(columns(rows))];
  });
  return [`haproxy: pid ${state.pid}`, ...indented(lines)];
}

function describeZnodes(registered: readonly Registered[] | undefined, which: (node: Registered) => boolean) {
  if (registered === undefined) return ["znodes: registry unreachable"];
  const shown = registered.filter(which);
  return shown.length === 0 ? [] : ["znodes:", ...indented(shown.map(({ path }) => path))];
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line}`);
}

/** Aligns cells in columns, two spaces apart. */
function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd());
}
