/**
 * The minimal watch of each registry: its own watch, and the reads without which the
 * address of a new node is unknown. Each calls back after each change.
 *
 * @module
 */
import { SerfRpc } from "../../plugins/discovery/serf/rpc.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { BASE_PATH, RawRegistry } from "./registry.ts";

/** Where a registry is: `host:port`, the path of a directory for `file`. */
export type RawWatch = (at: string, onChange: () => void) => Promise<void>;

/** The minimal watch of the cluster `web`, by registry. */
export const RAW_WATCHES: Readonly<Record<string, RawWatch>> = {
  zookeeper: zookeeperEvents,
  etcd: etcdEvents,
  serf: serfEvents,
  file: fileEvents,
  lighthouse: storeEvents,
};

const CLUSTER = "web";

/** A watch of the cluster's znode; the children are read again with the next watch, and the data of each new one. */
async function zookeeperEvents(address: string, onChange: () => void): Promise<void> {
  const registry = await RawRegistry.connect({ address });
  let known: ReadonlySet<string> | undefined;
  const read = async (): Promise<void> => {
    const names = new Set(await registry.children(CLUSTER, () => void read().then(onChange)));
    const added = known === undefined ? [] : names.difference(known);
    known = names;
    // A node may have left meanwhile.
    for (const name of added) await registry.read(CLUSTER, name).catch(() => {});
  };
  await read();
}

/** A stream of `/v3/watch` over all clusters: an event carries the key and its value. */
async function etcdEvents(address: string, onChange: () => void): Promise<void> {
  const request = { key: btoa(`${BASE_PATH}/`), range_end: btoa(`${BASE_PATH}0`) };
  const body = JSON.stringify({ create_request: request });
  const response = await fetch(`http://${address}/v3/watch`, { method: "POST", body });
  follow(response, (line) => line.includes('"events"') && onChange());
}

/** A stream of events of the agent, and the list of its members after each. */
async function serfEvents(address: string, onChange: () => void): Promise<void> {
  const { signal } = new AbortController();
  const { hostname: host, port } = new URL(`http://${address}`);
  const rpc = await SerfRpc.connect({
    address: { host, port: Number(port) },
    answerMs: 5_000,
    clock: systemClock,
    signal,
  });
  const read = () => rpc.call("members", undefined, { hasBody: true }).then(onChange);
  await rpc.stream("member-join,member-update,member-leave,member-failed", () => void read());
}

/** The events of the file system for one directory, and the contents of each node's file that has changed. */
function fileEvents(path: string, onChange: () => void): Promise<void> {
  const watcher = Deno.watchFs(`${path}/${CLUSTER}`);
  const known = new Map<string, string | undefined>();
  const read = async () => {
    for await (const { paths } of watcher) {
      for (const changed of paths.filter((path) => /\/[^./][^/]*\.json$/.test(path))) {
        const text = await Deno.readTextFile(changed).catch(() => undefined);
        // A renewed lease is no change.
        if (known.has(changed) && known.get(changed) === text) continue;
        known.set(changed, text);
        onChange();
      }
    }
  };
  void read();
  return Promise.resolve();
}

/** The server-sent events of a path: each has its whole value. */
async function storeEvents(address: string, onChange: () => void): Promise<void> {
  const response = await fetch(`http://${address}/data/services/${CLUSTER}`, {
    headers: { accept: "text/event-stream" },
  });
  follow(response, (line) => line === "" && onChange());
}

/** The streams that are followed: the runtime may close one that nothing refers to. */
const FOLLOWED = new Set<Response>();

function follow(response: Response, take: (line: string) => void): void {
  if (!response.ok || response.body === null) throw new Error(`Cannot watch: got status ${response.status}`);
  FOLLOWED.add(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const read = async () => {
    let rest = "";
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const lines = (rest + next.value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(line);
    }
    throw new Error("The registry ended the watch");
  };
  void read();
}
