import type { Node } from "../../../mod.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import type { Format } from "../formats/format.ts";
import { type Connection, ERROR, ZooKeeperError } from "./connection.ts";
import { caughtUp } from "./look_loop.ts";

/** Where the znode of a node is: at a path of its own, or at one that ZooKeeper numbered. */
export interface Place {
  /** Stands for the node; the path of its znode, unless that is numbered. */
  readonly key: string;
  readonly sequence?: Sequence | undefined;
}

/** Numbered znodes, of which some may be a node's. */
export interface Sequence {
  readonly parent: string;
  /** The prefix of the number. */
  readonly prefix: string;
  /** Whether a znode is the node's. */
  readonly isOf: (name: string, data: Uint8Array) => boolean;
}

/** A znode as it was found. */
export interface FoundZnode extends Awaited<ReturnType<Connection["getData"]>> {
  readonly path: string;
}

/** How many are read at once. */
const READS_AT_ONCE_MAX = 256;

/** Returns the place of a node's znode below the cluster's. */
export function placeOf(node: Node, { parent, format }: { readonly parent: string; readonly format: Format }): Place {
  const key = `${parent}/${format.nameOf(node)}`;
  const prefix = format.sequenceOf?.(node);
  if (prefix === undefined) return { key };
  const isOf = (name: string, data: Uint8Array) => {
    const { node: read } = format.read(name, data);
    return read?.ip === node.ip && read.port === node.port;
  };
  return { key, sequence: { parent, prefix, isOf } };
}

/** Reads a znode; `undefined` if it does not exist. */
export async function findZnode(
  connection: Connection,
  path: string,
  { watch }: { readonly watch: boolean },
): Promise<FoundZnode | undefined> {
  try {
    return { path, ...await connection.getData(path, { watch }) };
  } catch (error) {
    if (isError(error, ERROR.noNode)) return undefined;
    throw error;
  }
}

/** Finds the znodes of a node, whoever made them: at most one where they are not numbered. */
export async function findAll(connection: Connection, { key, sequence }: Place): Promise<readonly FoundZnode[]> {
  if (sequence === undefined) {
    const found = await findZnode(connection, key, { watch: false });
    return found === undefined ? [] : [found];
  }
  const { parent, prefix, isOf } = sequence;
  const gate = new Gate(READS_AT_ONCE_MAX);
  // One that was made over a lost connection must be seen, or it is made twice.
  await caughtUp(connection);
  const names = await childrenOf(connection, parent);
  const found = await Promise.all(
    names.filter((name) => name.startsWith(prefix)).map((name) =>
      gate.run(async () => {
        const znode = await findZnode(connection, `${parent}/${name}`, { watch: false });
        return znode !== undefined && isOf(name, znode.data) ? [znode] : [];
      })
    ),
  );
  return found.flat();
}

/** Whether ZooKeeper rejected a request with a code. */
export function isError(error: unknown, code: number): boolean {
  return error instanceof ZooKeeperError && error.code === code;
}

async function childrenOf(connection: Connection, path: string): Promise<readonly string[]> {
  try {
    return await connection.getChildren(path, { watch: false });
  } catch (error) {
    if (isError(error, ERROR.noNode)) return [];
    throw error;
  }
}
