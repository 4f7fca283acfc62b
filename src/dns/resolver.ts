import { type Clock, systemClock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { abortable } from "../kernel/within.ts";
import { isIpv4, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { connectTcp } from "../system/tcp.ts";
import { type Answer, decodeAnswer, encodeQuestion, NO_SUCH_NAME, type RecordType, type Srv } from "./message.ts";
import { addressesOf } from "./hosts_file.ts";
import { type NameService, namesToTry } from "./resolv_conf.ts";

/** Options of a lookup. */
export interface ResolveOptions extends NameService {
  /** Aborts the lookup. */
  readonly signal: AbortSignal;
  /** Timeout of each name server per query. */
  readonly serverTimeoutMs?: number;
  /** Timeout of the whole lookup. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  /** Reads `/etc/hosts`; `undefined` if it does not exist. */
  readonly readHosts?: () => Promise<string | undefined>;
}

/** Result of a lookup. */
export interface Resolved<T> {
  /** Empty if there are none: a positive statement of a name server. */
  readonly records: readonly T[];
  /** Whether the name exists. */
  readonly exists: boolean;
  /** Validity of the answer. */
  readonly ttlMs: number;
}

/** No name server answered. Nothing is known of the name, which differs from an answer without records. */
export class UnresolvedError extends Error {
  override readonly name = "UnresolvedError";
}

const SERVER_TIMEOUT_MS = 2_000;
const TIMEOUT_MS = 10_000;
/** Validity of an answer without a TTL. */
const UNTIMED_TTL_MS = 5_000;
const TTL_MS_MAX = 86_400_000;
const HOSTS_FILE = "/etc/hosts";
const QUESTION_ID = 0x4c48;
const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/** The permissions that a plugin requests to resolve names: its scope's name servers, and the hosts file. */
export function resolverPermissions(
  { nameServers }: Pick<NameService, "nameServers">,
): { readonly net: readonly string[]; readonly read: readonly string[] } {
  return { net: nameServers, read: [HOSTS_FILE] };
}

/**
 * Resolves a host as the C library does: `/etc/hosts` first, then the name servers one after the
 * other, with the search list. Throws an {@linkcode UnresolvedError} if no server answered, or the
 * signal's reason.
 */
export async function resolveHost(
  name: string,
  family: "A" | "AAAA",
  options: ResolveOptions,
): Promise<Resolved<string>> {
  const known = (addresses: readonly string[]) => {
    const is = family === "A" ? isIpv4 : isIpv6;
    return { records: addresses.filter(is), exists: true, ttlMs: UNTIMED_TTL_MS };
  };
  if (isIpv4(name) || isIpv6(name)) return known([name]);
  if (/^(?:.*\.)?localhost\.?$/i.test(name)) return known(["127.0.0.1", "::1"]);
  const hosts = await (options.readHosts ?? readHosts)();
  options.signal.throwIfAborted();
  const inFile = addressesOf(name, hosts ?? "");
  if (inFile.length > 0) return known(inFile);
  return await resolve(name, family, options, ({ addresses }) => addresses);
}

/** Looks up the SRV records of a service: `_http._tcp.example.com`. Throws as {@linkcode resolveHost} does. */
export async function resolveService(name: string, options: ResolveOptions): Promise<Resolved<Srv>> {
  return await resolve(name, "SRV", options, ({ services }) => services.filter(({ target }) => target !== "."));
}

async function resolve<T>(
  name: string,
  type: RecordType,
  options: ResolveOptions,
  recordsOf: (answer: Answer) => readonly T[],
): Promise<Resolved<T>> {
  const { timeoutMs = TIMEOUT_MS, clock = systemClock } = options;
  using late = deadline(timeoutMs, { clock, signal: options.signal });
  const none: Resolved<T>[] = [];
  const failures: string[] = [];
  for (const candidate of namesToTry(name, options)) {
    try {
      const answer = await ask(candidate, type, { ...options, signal: late.signal });
      const ttlMs = answer.ttlSeconds === undefined ? UNTIMED_TTL_MS : Math.min(TTL_MS_MAX, answer.ttlSeconds * 1_000);
      const resolved = { records: recordsOf(answer), exists: answer.rcode !== NO_SUCH_NAME, ttlMs };
      if (resolved.records.length > 0) return resolved;
      none.push(resolved);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof UnresolvedError)) throw error;
      failures.push(error.message);
    }
  }
  // One of the names could not be resolved: empty answers for the others prove nothing.
  if (failures[0] !== undefined) throw new UnresolvedError(failures[0]);
  return {
    records: [],
    exists: none.some(({ exists }) => exists),
    ttlMs: Math.min(...none.map(({ ttlMs }) => ttlMs)),
  };
}

/** Queries one server after the other until one answers; that a name does not exist is an answer. */
async function ask(
  name: string,
  type: RecordType,
  { nameServers, signal, serverTimeoutMs = SERVER_TIMEOUT_MS, clock = systemClock }: ResolveOptions,
): Promise<Answer> {
  const failures: string[] = [];
  for (const server of nameServers) {
    using late = deadline(serverTimeoutMs, { clock, signal });
    try {
      const answer = await askServer(name, type, { server, signal: late.signal });
      if (answer.rcode === 0 || answer.rcode === NO_SUCH_NAME) return answer;
      failures.push(`${server} responds with ${RCODES[answer.rcode] ?? `rcode ${answer.rcode}`}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      const reason = late.signal.aborted ? "timed out" : error instanceof Error ? error.message : String(error);
      failures.push(`${server}: ${reason}`);
      if (signal.aborted) break;
    }
  }
  throw new UnresolvedError(`Cannot resolve ${type} ${name}: ${failures.join("; ") || "no name server is configured"}`);
}

/** Queries over TCP (RFC 7766): UDP would need the permission to listen. */
async function askServer(
  name: string,
  type: RecordType,
  { server, signal }: { readonly server: string; readonly signal: AbortSignal },
): Promise<Answer> {
  const address = parseEndpoint(server);
  if (address === undefined) throw new TypeError("not a name server address");
  const question = encodeQuestion(QUESTION_ID, name, type);
  using connection = await connectTcp(address, signal);
  const exchange = async () => {
    const message = Uint8Array.from([question.length >> 8, question.length & 0xff, ...question]);
    for (let rest = message; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
    return await readMessage(connection);
  };
  const bytes = await abortable(exchange(), signal);
  return decodeAnswer(bytes, { id: QUESTION_ID, name, type });
}

async function readMessage(connection: Deno.TcpConn): Promise<Uint8Array> {
  const head = await readBytes(connection, 2);
  return await readBytes(connection, (head[0] ?? 0) << 8 | (head[1] ?? 0));
}

async function readBytes(connection: Deno.TcpConn, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const got = await connection.read(bytes.subarray(at));
    if (got === null) throw new Error("connection closed");
    at += got;
  }
  return bytes;
}

async function readHosts(): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(HOSTS_FILE);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
}
