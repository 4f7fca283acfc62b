/**
 * The worker of `bare_writer.ts`: watches one cluster of ZooKeeper, reads what
 * is new, and passes on what has changed. Nothing else.
 *
 * @module
 */
import { ZooKeeperClient } from "../../plugins/discovery/zookeeper/client.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";

/** What a worker passes on: nodes that have come, as `name ip:port`, and the names of those that have gone. */
export interface BareChange {
  readonly added: readonly (readonly [name: string, address: string])[];
  readonly removed: readonly string[];
}

const host = self as unknown as {
  onmessage: ((event: MessageEvent<{ readonly server: string; readonly path: string }>) => void) | null;
  postMessage(change: BareChange): void;
};

host.onmessage = async ({ data: { server, path } }) => {
  let fired = Promise.withResolvers<void>();
  const client = new ZooKeeperClient({
    hosts: [server],
    sessionTimeoutMs: 30_000,
    clock: systemClock,
    random: systemRandom,
    onEvent: () => fired.resolve(),
    onConnected() {},
    onDisconnected() {},
    onOver() {},
  });
  const connection = await client.connected(AbortSignal.timeout(30_000));
  let known: ReadonlySet<string> = new Set();
  for (let isFirst = true;; isFirst = false) {
    fired = Promise.withResolvers<void>();
    const names = new Set(await connection.getChildren(path, { watch: true }));
    const added = isFirst ? [] : await Promise.all([...names.difference(known)].map(async (name) => {
      const { data } = await connection.getData(`${path}/${name}`, { watch: false });
      const { ip, port } = JSON.parse(new TextDecoder().decode(data));
      return [name, `${ip}:${port}`] as const;
    }));
    host.postMessage({ added, removed: isFirst ? [] : [...known.difference(names)] });
    known = names;
    await fired.promise;
  }
};
