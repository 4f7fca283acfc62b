import zookeeper from "node-zookeeper-client";
import { Connection, ERROR, ZooKeeperError } from "../../plugins/discovery/zookeeper/connection.ts";

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

/** Reads all nodes that are registered, sorted by path; `undefined` if the registry is out of reach. */
export async function readRegistry(ensemble: string): Promise<readonly Registered[] | undefined> {
  const client = zookeeper.createClient(ensemble, { sessionTimeout: 10_000, spinDelay: 100, retries: 0 });
  const connected = Promise.withResolvers<true>();
  const late = Promise.withResolvers<undefined>();
  client.once("connected", () => connected.resolve(true));
  const timer = setTimeout(() => late.resolve(undefined), DEADLINE_MS);
  try {
    client.connect();
    if (await Promise.race([connected.promise, late.promise]) === undefined) return undefined;
    const connection = new Connection(client, { endpoint: ensemble, onEvent() {} });
    return await Promise.race([readAll(connection), late.promise]);
  } finally {
    clearTimeout(timer);
    client.close();
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
