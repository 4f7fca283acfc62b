/**
 * A cluster whose `discovery` is a list of registries, and the faults of each.
 *
 * @module
 */
import assert from "node:assert/strict";
import { StoreProcess } from "../store/process.ts";
import { runCli } from "./cli.ts";
import { Etcd } from "./etcd.ts";
import { assertUnnoticed, changesReach, FaultStage } from "./fault_stage.ts";
import { freePort } from "./free_port.ts";
import type { LoggedEvent } from "./logged_events.ts";
import { Serf } from "./serf.ts";
import { TcpProxy } from "./tcp_proxy.ts";
import { TempDir } from "./temp_dir.ts";
import { ZooKeeper } from "./zookeeper.ts";

/**
 * Asserts that clients see no error while a registry and an etcd beside it are each killed, paused and
 * partitioned, one after the other. Gossip has none of the registry's names, so
 * beside it `combine` is `all`: both must have a node.
 */
export async function survivesFaultsOfEach(
  { name, combine, t }: {
    readonly name: ListedRegistry;
    readonly combine: "all" | "union";
    readonly t: Deno.TestContext;
  },
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const members = { [`first-${name}`]: await MEMBERS[name](stack), other: await MEMBERS.etcd(stack) };
  const registries = Object.fromEntries(
    Object.entries(members).map(([at, { file }]) => [at, at === "other" ? file : { type: name, ...file }]),
  );
  await using stage = await FaultStage.set({ registries, cluster: { combine } });
  const aftermath = await stage.during(async () => {
    for (const [at, member] of Object.entries(members)) {
      let connected: LoggedEvent | undefined;
      const survives = async (fault: () => void | Promise<void>, end: () => void | Promise<void>) => {
        await fault();
        const gone = await untilUnreachable(stage, at, connected);
        await stage.host.untilServing("web", stage.ports);
        await end();
        connected = await stage.writer.event("registry.connected", { worker: `discovery ${at}` }, { after: gone });
        await changesReach(stage);
        // One fault at a time: the next one begins when this registry has all nodes again.
        const all = ["--wait", String(stage.ports.length), "--timeout", "60s"];
        const { code, stderr } = await runCli(["nodes", stage.host.configDir, "web", "--source", at, ...all]);
        assert.equal(code, 0, stderr);
      };
      await survives(member.kill, member.start);
      await survives(member.stop, member.goOn);
      await survives(member.pause, member.resume);
    }
  });
  assertUnnoticed(t, aftermath);
}

/** A discovery file for an etcd. */
export function etcdFile(address: string): Readonly<Record<string, unknown>> {
  return { type: "etcd", endpoints: [address], session_timeout: 2 };
}

/** Waits until the writer reports a registry as unreachable, later than its last report as connected. */
export async function untilUnreachable(
  { writer }: FaultStage,
  discovery: string,
  after?: LoggedEvent,
): Promise<LoggedEvent> {
  return await writer.event("registry.unreachable", { worker: `discovery ${discovery}` }, after && { after });
}

/** A registry in a list, with the faults of its server and of the network before it. */
interface Member extends Pick<TcpProxy, "pause" | "resume"> {
  readonly file: Readonly<Record<string, unknown>>;
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
  /** Stops the server's process (SIGSTOP), and resumes it. */
  readonly stop: () => void;
  readonly goOn: () => void;
}

/** Puts a server behind a network that a test can cut off. */
function behind(
  server: { readonly port: number; readonly pause: () => void; readonly resume: () => void },
  stack: AsyncDisposableStack,
): Pick<Member, "pause" | "resume" | "stop" | "goOn"> & { readonly address: string } {
  const proxy = stack.use(TcpProxy.start(server.port));
  return {
    address: proxy.address,
    pause: () => proxy.pause(),
    resume: () => proxy.resume(),
    stop: () => server.pause(),
    goOn: () => server.resume(),
  };
}

/** A registry that may be named in a list. */
type ListedRegistry = "etcd" | "lighthouse" | "serf" | "zookeeper";

/** How each is started. */
const MEMBERS: Readonly<Record<ListedRegistry, (stack: AsyncDisposableStack) => Promise<Member>>> = {
  async etcd(stack) {
    const server = stack.use(await Etcd.start());
    const { address, ...faults } = behind(server, stack);
    return { ...faults, file: etcdFile(address), kill: () => server.end("SIGKILL"), start: () => server.start() };
  },
  async zookeeper(stack) {
    const server = stack.use(await ZooKeeper.start());
    const { address, ...faults } = behind(server, stack);
    const file = { hosts: [address], path: "/lighthouse/services", session_timeout: 4 };
    return { ...faults, file, kill: () => server.kill(), start: () => server.start() };
  },
  async lighthouse(stack) {
    const dir = stack.use(new TempDir("lighthouse-store-"));
    const port = freePort();
    const begin = async () => {
      const store = stack.use(
        new StoreProcess(["--data.d", dir.path, "--bind", `127.0.0.1:${port}`, "--bootstrap"]),
      );
      await store.event("store.listening");
      return store;
    };
    let store = await begin();
    const pause = () => store.kill("SIGSTOP");
    const { address, ...faults } = behind({ port, pause, resume: () => store.kill("SIGCONT") }, stack);
    return {
      ...faults,
      file: { hosts: [address], path: "/lighthouse/services", ttl: 3 },
      kill: async () => {
        store.kill("SIGKILL");
        await store.ended();
      },
      start: async () => void (store = await begin()),
    };
  },
  async serf(stack) {
    const agent = stack.use(await Serf.start({ ip: "127.0.0.1" }));
    const { address, ...faults } = behind(
      { port: agent.rpcPort, pause: () => agent.pause(), resume: () => agent.resume() },
      stack,
    );
    return {
      ...faults,
      file: { address, refresh: 0.5 },
      kill: () => agent.end("SIGKILL"),
      start: () => agent.start(),
    };
  },
};
