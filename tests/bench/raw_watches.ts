/**
 * The least that notices a change in each registry: its own watch, and one
 * read where the watch does not say what changed. Each calls back after each
 * change, and ends when it is disposed of.
 *
 * @module
 */
import { SerfRpc } from "../../plugins/discovery/serf/rpc.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import type { Etcd } from "../support/etcd.ts";
import type { Serf } from "../support/serf.ts";
import type { ZooKeeper } from "../support/zookeeper.ts";
import { BASE_PATH, RawRegistry } from "./registry.ts";

/** A watch that runs. */
export type RawWatch = AsyncDisposable;

/** A watch of the cluster's znode, its children read again, and the watch set with that. */
export async function zookeeperEvents(server: ZooKeeper, cluster: string, onChange: () => void): Promise<RawWatch> {
  const registry = await RawRegistry.connect(server);
  let isOver = false;
  const look = async (): Promise<void> => {
    await registry.children(cluster, () => void look().then(() => isOver || onChange(), () => {}));
  };
  await look();
  return {
    async [Symbol.asyncDispose]() {
      isOver = true;
      await registry[Symbol.asyncDispose]();
    },
  };
}

/** A stream of `/v3/watch` over all clusters: an event carries the key and its value. */
export async function etcdEvents(server: Etcd, onChange: () => void): Promise<RawWatch> {
  const controller = new AbortController();
  const request = { key: btoa(`${BASE_PATH}/`), range_end: btoa(`${BASE_PATH}0`) };
  const response = await fetch(`http://${server.address}/v3/watch`, {
    method: "POST",
    body: JSON.stringify({ create_request: request }),
    signal: controller.signal,
  });
  return follow(response, controller, (text) => text.includes('"events"') && onChange());
}

/** A stream of events of the agent, and the list of its members after each. */
export async function serfEvents(agent: Serf, onChange: () => void): Promise<RawWatch> {
  const { signal } = new AbortController();
  const address = { host: "127.0.0.1", port: agent.rpcPort };
  const rpc = await SerfRpc.connect({ address, answerMs: 5_000, clock: systemClock, signal });
  const look = () => rpc.call("members", undefined, { hasBody: true }).then(onChange, () => {});
  await rpc.stream("member-join,member-update,member-leave,member-failed", () => void look());
  return {
    [Symbol.asyncDispose]() {
      rpc[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

/** The events of the file system for one directory, and the file that each is about. */
export function fileEvents(path: string, onChange: () => void): Promise<RawWatch> {
  const watcher = Deno.watchFs(path);
  const read = async () => {
    for await (const { paths } of watcher) {
      for (const changed of paths) await Deno.readTextFile(changed).catch(() => {});
      onChange();
    }
  };
  const ended = read();
  return Promise.resolve({
    async [Symbol.asyncDispose]() {
      watcher.close();
      await ended;
    },
  });
}

/** The server-sent events of a path: each has its whole value. */
export async function storeEvents(url: string, onChange: () => void): Promise<RawWatch> {
  const controller = new AbortController();
  const response = await fetch(url, { headers: { accept: "text/event-stream" }, signal: controller.signal });
  return follow(response, controller, (text) => text.includes("\n\n") && onChange());
}

function follow(response: Response, controller: AbortController, take: (text: string) => void): RawWatch {
  if (!response.ok || response.body === null) throw new Error(`Cannot watch: the answer is ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const read = async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) take(next.value);
  };
  const ended = read().catch(() => {});
  return {
    async [Symbol.asyncDispose]() {
      // A read of a stream that is idle outlives the abort of its request.
      await reader.cancel();
      controller.abort();
      await ended;
    },
  };
}
