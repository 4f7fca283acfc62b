import { ZooKeeperClient } from "../../plugins/discovery/zookeeper/client.ts";
import { type Connection, ERROR, ZooKeeperError } from "../../plugins/discovery/zookeeper/connection.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { abortable } from "../../src/kernel/within.ts";

/** The znode that all services are below: what `discovery/zookeeper.yaml` says. */
const PATH = "/lighthouse/services";

/** How long the registry may take to answer. */
const DEADLINE_MS = 5_000;

/** A registered node: the path of its znode, and what is written there. */
export interface Registered {
  /** `/lighthouse/services/webapp/app01:8000` */
  readonly path: string;
  /** `webapp` */
  readonly service: string;
  /** `app01:8000` */
  readonly node: string;
  /** The znode's data, as it is. */
  readonly data: string;
}

/** Reads all registered nodes, sorted by path; `undefined` if the registry is unreachable. */
export async function readRegistry(ensemble: string): Promise<readonly Registered[] | undefined> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const client = new ZooKeeperClient({
    hosts: ensemble.split(","),
    sessionTimeoutMs: 10_000,
    clock: systemClock,
    random: systemRandom,
    onEvent() {},
    onConnected() {},
    onDisconnected() {},
    onOver() {},
  });
  try {
    return await abortable(client.connected(signal).then(readAll), signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

async function readAll(connection: Connection): Promise<readonly Registered[]> {
  const registered: Registered[] = [];
  for (const service of (await childrenOf(connection, PATH)).toSorted()) {
    for (const node of (await childrenOf(connection, `${PATH}/${service}`)).toSorted()) {
      const path = `${PATH}/${service}/${node}`;
      const data = await unlessGone(async () => new TextDecoder().decode((await connection.getData(path, QUIET)).data));
      if (data !== undefined) registered.push({ path, service, node, data });
    }
  }
  return registered;
}

const QUIET = { watch: false } as const;

async function childrenOf(connection: Connection, path: string): Promise<readonly string[]> {
  return await unlessGone(() => connection.getChildren(path, QUIET)) ?? [];
}

async function unlessGone<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ZooKeeperError && error.code === ERROR.noNode) return undefined;
    throw error;
  }
}
