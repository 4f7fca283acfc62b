/**
 * Established TCP connections of this host, by the kernel's own tables.
 *
 * @module
 */
import { findSocketOwners, parseHexAddress } from "./listeners.ts";
import { look, SlowLookError } from "./processes.ts";

/** An end of a connection. */
export interface TcpEnd {
  /** IPv4, or IPv6 in full; an IPv4 address that is mapped into IPv6 is IPv4. */
  readonly host: string;
  readonly port: number;
}

/** An established connection, as one of its ends on this host sees it. */
export interface TcpConnection {
  readonly local: TcpEnd;
  readonly remote: TcpEnd;
  /** The kernel's id of this end, unique while it is open. */
  readonly inode: string;
}

/** The kernel's code for the state ESTABLISHED. */
const ESTABLISHED = "01";

/**
 * Answers the established connections of this network namespace that are asked for, but for those that this process
 * has opened itself, as to check a service. `undefined` where there is no /proc to ask.
 */
export async function findConnections(
  isAsked: (connection: TcpConnection) => boolean,
): Promise<readonly TcpConnection[] | undefined> {
  const output = await look("cat", ["/proc/net/tcp", "/proc/net/tcp6"]);
  if (output === "") return undefined;
  const all = parseConnections(output);
  const asked = all.filter(isAsked);
  if (asked.length === 0) return [];
  const clients = new Map(all.map((each) => [`${nameOf(each.local)} ${nameOf(each.remote)}`, each]));
  const clientOf = ({ local, remote }: TcpConnection) => clients.get(`${nameOf(remote)} ${nameOf(local)}`);
  const { pids } = await findSocketOwners(asked.flatMap((each) => clientOf(each)?.inode ?? [])).catch((error) => {
    // On a machine too busy to say who opened them, all of them count.
    if (error instanceof SlowLookError) return { pids: new Map<string, readonly number[]>() };
    throw error;
  });
  return asked.filter((each) => pids.get(clientOf(each)?.inode ?? "")?.includes(Deno.pid) !== true);
}

function nameOf({ host, port }: TcpEnd): string {
  return `${host} ${port}`;
}

/** Reads `/proc/net/tcp` and `/proc/net/tcp6`. Pure. */
export function parseConnections(output: string): readonly TcpConnection[] {
  return output.split("\n").flatMap((line) => {
    const [, local = "", remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
    if (state !== ESTABLISHED) return [];
    const [here, there] = [parseEnd(local), parseEnd(remote)];
    return here === undefined || there === undefined ? [] : [{ local: here, remote: there, inode }];
  });
}

function parseEnd(text: string): TcpEnd | undefined {
  const [address = "", port = ""] = text.split(":");
  const host = parseHexAddress(address);
  return host === undefined ? undefined : { host, port: parseInt(port, 16) };
}
