import tasks from "../../deno.json" with { type: "json" };
import { serverArgs, serverConfig } from "../../tests/support/zookeeper.ts";
import { type Example, type HostType, type Place, type Program, ROOT } from "./example.ts";
import { type Fleet, type Host, isName, NAME, REGISTRY_HOST, UsageError } from "./fleet.ts";
import { configDir, writeConfig } from "./host_config.ts";
import { isFree, isListening } from "./network.ts";
import { end, haproxyPids, pidsOf, start } from "./processes.ts";
import { isGone, isSettled } from "./settled.ts";
import { until } from "./until.ts";

/** How long a host may take until all that is launched with it works. */
const LAUNCH_DEADLINE_MS = 60_000;

/** How long the others may take to see that a host has gone; after that it goes all the same. */
const LEAVE_DEADLINE_MS = 10_000;

/** The port of the registry, unless another program has it. */
const REGISTRY_PORT = 2181;

/** The type of the host that the registry runs on: every example has it. */
const REGISTRY_TYPE: HostType = {
  summary: "ZooKeeper; launched automatically before the first host",
  programs: ({ address, dir }) => [{
    name: "zookeeper",
    args: ["java", ...serverArgs({ configFile: `${dir}/zoo.cfg`, logFile: `${dir}/zookeeper-server.log` })],
    port: isFree(address, REGISTRY_PORT) ? REGISTRY_PORT : anyPort(address),
  }],
};

/** The types of hosts that can be launched, by their words. */
export function typesOf(example: Example): ReadonlyMap<string, HostType> {
  return new Map([["zookeeper", REGISTRY_TYPE], ...Object.entries(example.types)]);
}

/** The registry's address: `127.88.0.1:2181`. */
export function ensembleOf({ address, programs }: Host): string {
  return `${address}:${programs[0]?.port}`;
}

/** A host that is wanted. */
export interface Order {
  /** Which type of host. */
  readonly type: string;
  /** What it is to be called. */
  readonly name: string;
}

/**
 * Launches hosts, all at once, and waits until each of their services is
 * registered and served by every host that consumes it.
 *
 * @throws {UsageError} if one cannot be launched as it was asked for
 */
export async function launch(
  fleet: Fleet,
  example: Example,
  orders: readonly Order[],
  say: (line: string) => void,
): Promise<void> {
  const there = new Set((await fleet.hosts()).map(({ name }) => name));
  checkOrders(typesOf(example), orders, there);
  const wantsRegistry = orders.some(({ type }) => type === "zookeeper");
  if (!there.has(REGISTRY_HOST) && !wantsRegistry) {
    await launch(fleet, example, [{ type: "zookeeper", name: REGISTRY_HOST }], say);
  }
  const launched: Host[] = [];
  try {
    for (const { type, name } of orders) launched.push(await begin(fleet, example, type, name));
    for (const host of launched) {
      await until(`${host.name} works`, LAUNCH_DEADLINE_MS, async () => {
        await checkAlive(host);
        return await isUp(host);
      });
    }
    await until("all services are served", LAUNCH_DEADLINE_MS, async () => {
      for (const host of launched) await checkAlive(host);
      return await isSettled(await fleet.hosts(), launched);
    });
  } catch (error) {
    // What does not work is left for a look with `connect`; what could not even begin is not there.
    const left = launched.map(({ name }) => name).join(", ");
    const hint = left === "" ? "" : `\nLook with: connect ${launched[0]?.name}; the logs are in ${launched[0]?.dir}`;
    throw error instanceof UsageError ? error : new Error(`${(error as Error).message}${hint}`, { cause: error });
  }
  for (const host of launched) say(`${host.name} (${host.type}) is up at ${host.address}`);
}

/** Throws a {@linkcode UsageError} if an order cannot be met; nothing has been done by then. */
function checkOrders(
  types: ReadonlyMap<string, HostType>,
  orders: readonly Order[],
  there: ReadonlySet<string>,
): void {
  const names = new Set(there);
  for (const { type, name } of orders) {
    const kind = types.get(type);
    if (kind === undefined) {
      throw new UsageError(`Unknown host type ${JSON.stringify(type)}: must be one of ${[...types.keys()].join(", ")}`);
    }
    if (!isName(name)) {
      throw new UsageError(`Cannot launch a host named ${JSON.stringify(name)}: must be ${NAME}`);
    }
    if ((type === "zookeeper") !== (name === REGISTRY_HOST)) {
      throw new UsageError(`Cannot launch ${type} ${name}: the name ${REGISTRY_HOST} is reserved for the registry`);
    }
    if (names.has(name)) throw new UsageError(`Cannot launch ${name}: a host with this name exists; stop it first`);
    const missing = kind.needs?.find((needed) => !names.has(needed));
    if (missing !== undefined) {
      throw new UsageError(`Cannot launch ${name}: it requires ${missing}; launch ${missing} first`);
    }
    names.add(name);
  }
}

/** Adds a host and starts its programs, Lighthouse last. */
async function begin(fleet: Fleet, example: Example, type: string, name: string): Promise<Host> {
  const kind = typesOf(example).get(type) as HostType;
  const others = await fleet.hosts();
  const host = await fleet.add(name, type, (place) => [...kind.programs(place), ...lighthouse(kind, place)]);
  const taken = host.programs.find(({ port }) => port !== undefined && !isFree(host.address, port));
  if (taken !== undefined) {
    await fleet.remove(host);
    throw new UsageError(
      `Cannot launch ${name}: another program listens on port ${taken.port} of ${host.address} or of all ` +
        "addresses; set another --network, or stop that program",
    );
  }
  if (type === "zookeeper") {
    const [server] = host.programs;
    const config = { address: host.address, port: server?.port ?? REGISTRY_PORT, dataDir: `${host.dir}/data` };
    await Deno.writeTextFile(`${host.dir}/zoo.cfg`, serverConfig(config));
  } else if (kind.files !== undefined) {
    const registry = await fleet.host(REGISTRY_HOST);
    const addresses = others.filter((other) => kind.needs?.includes(other.name)).map((other) =>
      [other.name, other.address] as const
    );
    await writeConfig(host, {
      example,
      type: kind,
      addresses: new Map([[`${REGISTRY_HOST}:${REGISTRY_PORT}`, ensembleOf(registry)], ...addresses]),
    });
  }
  for (const program of host.programs) start(host, program);
  return host;
}

/** Writer and reporter, in one process, with the permissions of the task. */
function lighthouse({ files }: HostType, { dir }: Place): readonly Program[] {
  if (files === undefined) return [];
  const words = tasks.tasks.lighthouse.command.split(" ");
  const args = [Deno.execPath(), ...words.slice(1, -1), `${ROOT}${words.at(-1)}`];
  return [{ name: "lighthouse", args: [...args, "run", configDir({ dir })] }];
}

/** Whether everything that listens on a host does. */
async function isUp({ address, programs }: Host): Promise<boolean> {
  for (const { port } of programs) {
    if (port !== undefined && !await isListening(address, port)) return false;
  }
  return true;
}

/** Throws if a program of a host has been started and has ended, with the end of what it wrote. */
async function checkAlive(host: Host): Promise<void> {
  for (const program of host.programs) {
    const wroteItsPid = await Deno.stat(`${host.dir}/${program.name}.pid`).then(() => true, () => false);
    if (!wroteItsPid || (await pidsOf(host, program)).length > 0) continue;
    // Between writing its pid and becoming the program it is known by neither: only a second look shows it.
    if (
      await until("the program runs", 2_000, async () => (await pidsOf(host, program)).length > 0).catch(() => false)
    ) {
      continue;
    }
    const log = await Deno.readTextFile(`${host.dir}/${program.name}.log`).catch(() => "");
    throw new Error(`${program.name} of ${host.name} exited:\n${log.split("\n").slice(-10).join("\n")}`);
  }
}

/**
 * Stops a host in order: it leaves the registry, the others see it go, and only
 * then its programs end. It and its files are gone then.
 */
export async function stop(fleet: Fleet, host: Host): Promise<void> {
  await endPrograms(host, ({ name }) => name === "lighthouse", "SIGTERM");
  const others = (await fleet.hosts()).filter(({ name }) => name !== host.name);
  await until("the others see it go", LEAVE_DEADLINE_MS, () => isGone(host, others)).catch(() => {});
  await endPrograms(host, () => true, "SIGTERM");
  // By this signal HAProxy finishes what it has begun; SIGTERM would cut it off.
  await end(() => haproxyPids(host), "SIGUSR1");
  await fleet.remove(host);
}

/** Stops all hosts at once, the registry last. */
export async function stopAll(fleet: Fleet): Promise<readonly Host[]> {
  const hosts = await fleet.hosts();
  const isRegistry = ({ name }: Host) => name === REGISTRY_HOST;
  for (const some of [hosts.filter((host) => !isRegistry(host)), hosts.filter(isRegistry)]) {
    await Promise.all(some.map((host) => endPrograms(host, ({ name }) => name === "lighthouse", "SIGTERM")));
    await Promise.all(some.map(async (host) => {
      await endPrograms(host, () => true, "SIGTERM");
      await end(() => haproxyPids(host), "SIGTERM");
      await fleet.remove(host);
    }));
  }
  return hosts;
}

/** Kills everything on a host at once, without a shutdown, like a power failure. */
export async function kill(fleet: Fleet, host: Host): Promise<void> {
  await Promise.all([endPrograms(host, () => true, "SIGKILL"), end(() => haproxyPids(host), "SIGKILL")]);
  await fleet.remove(host);
}

async function endPrograms(host: Host, which: (program: Program) => boolean, signal: Deno.Signal): Promise<void> {
  await Promise.all(host.programs.filter(which).map((program) => end(() => pidsOf(host, program), signal)));
}

function anyPort(hostname: string): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return listener.addr.port;
}
