import assert from "node:assert/strict";
import { StoreProcess } from "../store/process.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import type { LoggedEvent } from "../support/logged_events.ts";
import { freePort } from "../support/free_port.ts";
import { runCli } from "../support/cli.ts";
import { Serf } from "../support/serf.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const WEB = "/lighthouse/services/web/";

/** A host in service whose cluster and service name two registries, `east` and `west`. */
async function stageWith(
  etcds: readonly [Etcd, Etcd],
  cluster: Readonly<Record<string, unknown>> = {},
): Promise<FaultStage> {
  const [east, west] = etcds.map(({ address }) => etcdFile(address));
  return await FaultStage.set({ registries: { east: east ?? {}, west: west ?? {} }, cluster });
}

function etcdFile(address: string): Readonly<Record<string, unknown>> {
  return { type: "etcd", endpoints: [address], session_timeout: 2 };
}

/** Waits until so many nodes are registered. */
async function untilRegistered(etcd: Etcd, count: number): Promise<void> {
  await eventually(`${count} are registered`, async () => {
    const text = await etcd.ctl("get", "--prefix", "--keys-only", `${WEB}t`);
    return text.split("\n").filter((line) => line !== "").length === count;
  });
}

/** Waits until the writer says that one registry is gone, later than it last said that it is there. */
async function untilUnreachable({ writer }: FaultStage, discovery: string, after?: LoggedEvent): Promise<LoggedEvent> {
  return await writer.event("registry.unreachable", { worker: `discovery ${discovery}` }, after && { after });
}

/** A registry in a list: what befalls its server, and the network before it. */
interface Member extends Pick<TcpProxy, "pause" | "resume"> {
  readonly file: Readonly<Record<string, unknown>>;
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
  /** Stops the server's process (SIGSTOP), and lets it go on. */
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

/** Every registry that may be named in a list. */
const MEMBERS: Readonly<Record<string, (stack: AsyncDisposableStack) => Promise<Member>>> = {
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

/** Beside etcd: gossip has no names of the registry's, so both must have a node. */
const LISTS = Object.keys(MEMBERS).map((name) => ({ name, combine: name === "serf" ? "all" : "union" }));

Deno.test.each(LISTS)(
  "$name beside etcd ($combine): each is killed, paused and partitioned for longer than a session, and no request fails",
  async ({ name, combine }, t) => {
    await using stack = new AsyncDisposableStack();
    const [make, makeOther] = [MEMBERS[name], MEMBERS.etcd];
    assert.ok(make !== undefined && makeOther !== undefined);
    const members = { [`first-${name}`]: await make(stack), other: await makeOther(stack) };
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
  },
);

const POLICIES = [
  { policy: "union", combine: "union" },
  { policy: "all", combine: "all" },
  { policy: "first", combine: { first: { wait: "1s", return_after: "2s" } } },
] as const;

Deno.test.each(POLICIES)(
  "one of two registries is killed and started again, with $policy: no request fails",
  async ({ combine }, t) => {
    await using east = await Etcd.start();
    await using west = await Etcd.start();
    await using stage = await stageWith([east, west], { combine });
    const aftermath = await stage.during(async () => {
      await west.end("SIGKILL");
      await untilUnreachable(stage, "west");
      await stage.host.untilServing("web", stage.ports);
      await west.start();
      await untilRegistered(west, 3);
      await changesReach(stage);
      await east.end("SIGKILL");
      await untilUnreachable(stage, "east");
      await stage.host.untilServing("web", stage.ports);
      await east.start();
      await untilRegistered(east, 3);
      await changesReach(stage);
    });
    assertUnnoticed(t, aftermath);
  },
);

Deno.test.each(POLICIES)(
  "one of two registries comes back with nothing in it, with $policy: no request fails",
  async ({ combine }, t) => {
    await using east = await Etcd.start();
    await using west = await Etcd.start();
    await using stage = await stageWith([east, west], { combine });
    const aftermath = await stage.during(async () => {
      for (const each of [east, west]) {
        await each.wipe();
        await each.start();
        await untilRegistered(each, 3);
        await changesReach(stage);
      }
    });
    assertUnnoticed(t, aftermath);
  },
);

Deno.test("one of two registries is partitioned from this host for longer than a session: no request fails", async (t) => {
  await using east = await Etcd.start();
  await using west = await Etcd.start();
  await using stage = await stageWith([east, west]);
  const aftermath = await stage.during(async () => {
    west.pause();
    await untilUnreachable(stage, "west");
    stage.services[0]!.healthy = false;
    // The last word of the silent registry stands: a node that it had is not removed on the word of the other.
    await stage.reporter.event("registration.failed");
    stage.services[0]!.healthy = true;
    west.resume();
    await untilRegistered(west, 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("the writer restarts while one of two registries is gone: what that one alone had is served, and no request fails", async (t) => {
  await using east = await Etcd.start();
  await using west = await Etcd.start();
  await using extra = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("ok"));
  await using stage = await stageWith([east, west]);
  const { port } = extra.addr;
  const node = { host: "127.0.0.1", ip: "127.0.0.1", port, metadata: {} };
  await west.ctl("put", `${WEB}127.0.0.1:${port}`, JSON.stringify(node));
  const all = [...stage.ports, port];
  await stage.host.untilServing("web", all);
  const aftermath = await stage.during(async () => {
    await west.end("SIGKILL");
    await untilUnreachable(stage, "west");
    await stage.replace("writer", "SIGTERM");
    await stage.writer.event("cluster.silent");
    await stage.host.untilServing("web", all);
  });
  assertUnnoticed(t, aftermath);
});
