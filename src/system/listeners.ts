/**
 * Listeners on TCP ports of this host, from the kernel's tables: a bind does
 * not reveal them if they share ports (`SO_REUSEPORT`), as every HAProxy does.
 *
 * @module
 */
import { look, type LookOptions } from "./processes.ts";

/** A listening socket. */
export interface TcpListener {
  /** Its address: IPv4, or IPv6 in full; an IPv4-mapped address is IPv4. */
  readonly host: string;
  /** Its port. */
  readonly port: number;
  /** Its inode, unique while it is open. */
  readonly inode: string;
}

/** Owners of sockets. */
export interface SocketOwners {
  /** The pids by inode; none for a socket of a process that this one may not inspect. */
  readonly pids: ReadonlyMap<string, readonly number[]>;
  /** The processes that could be inspected. */
  readonly readable: ReadonlySet<number>;
}

/** The kernel's code for the state LISTEN. */
const LISTEN = "0A";

/** Returns all listening sockets of this network namespace; `undefined` without /proc. */
export async function findListeners(options?: LookOptions): Promise<readonly TcpListener[] | undefined> {
  const output = await look("cat", ["/proc/net/tcp", "/proc/net/tcp6"], options);
  return output === "" ? undefined : parseListeners(output);
}

/** Parses `/proc/net/tcp` and `/proc/net/tcp6`. Pure. */
export function parseListeners(output: string): readonly TcpListener[] {
  return output.split("\n").flatMap((line) => {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    const host = state === LISTEN ? parseHexAddress(address) : undefined;
    return host === undefined ? [] : [{ host, port: parseInt(port, 16), inode }];
  });
}

/** Finds the processes that hold a listening Unix socket; none where they cannot be inspected. */
export async function findUnixListenerOwners(path: string, options?: LookOptions): Promise<readonly number[]> {
  const inodes = parseUnixListeners(await look("cat", ["/proc/net/unix"], options), path);
  if (inodes.length === 0) return [];
  const { pids } = await findSocketOwners(inodes, options);
  return [...new Set(inodes.flatMap((inode) => pids.get(inode) ?? []))].toSorted((a, b) => a - b);
}

/** Parses `/proc/net/unix`: the inodes of the sockets that listen at a path. Pure. */
export function parseUnixListeners(output: string, path: string): readonly string[] {
  return output.split("\n").flatMap((line) => {
    const [, flags = "", inode = "", at] = /^\S+: \S+ \S+ ([0-9A-F]{8}) \S+ \S+ +([0-9]+) (.*)$/.exec(line) ?? [];
    return at === path && (parseInt(flags, 16) & ACCEPTS_CONNECTIONS) !== 0 ? [inode] : [];
  });
}

/** The kernel's flag of a Unix socket that listens (`__SO_ACCEPTCON`). */
const ACCEPTS_CONNECTIONS = 0x10000;

/** Finds the owners of sockets. */
export async function findSocketOwners(inodes: readonly string[], options?: LookOptions): Promise<SocketOwners> {
  const wanted = inodes.filter((inode) => /^[0-9]+$/.test(inode)).join("|");
  // The listing of all files of all processes is long, so it is filtered at the source.
  const command = `ls -l /proc/[0-9]*/fd | grep -E "^/proc/|socket:\\[(${wanted})\\]\\$"`;
  return parseOwners(await look("sh", ["-c", command], options));
}

/** Parses `ls -l` of directories `/proc/PID/fd`. Pure. */
export function parseOwners(output: string): SocketOwners {
  const pids = new Map<string, number[]>();
  const readable = new Set<number>();
  let pid = 0;
  for (const line of output.split("\n")) {
    const header = /^\/proc\/([0-9]+)\/fd:$/.exec(line)?.[1];
    if (header !== undefined) readable.add(pid = Number(header));
    const inode = /socket:\[([0-9]+)\]$/.exec(line)?.[1];
    if (inode !== undefined && pids.get(inode)?.at(-1) !== pid) pids.set(inode, [...pids.get(inode) ?? [], pid]);
  }
  return { pids, readable };
}

/** The kernel prints an address as 32-bit numbers in host byte order, which is little-endian wherever Deno runs. */
export function parseHexAddress(hex: string): string | undefined {
  if (!/^(?:[0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) return undefined;
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).toReversed())
    .map((byte) => parseInt(byte, 16));
  if (bytes.length === 4) return bytes.join(".");
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return bytes.slice(12).join(".");
  return Array.from({ length: 8 }, (_, at) => ((bytes[2 * at] ?? 0) * 256 + (bytes[2 * at + 1] ?? 0)).toString(16))
    .join(
      ":",
    );
}
