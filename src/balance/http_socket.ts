import { formatDuration } from "../kernel/duration.ts";
import { readToEnd } from "./read_to_end.ts";
import { NobodyListensError, SocketSilentError } from "./runtime_socket.ts";

/** How long all requests of a look may take. */
const DEADLINE_MS = 5_000;

/** The size limit of an answer with its head. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export interface HttpSocketOptions {
  /** Aborts the exchange. */
  readonly signal: AbortSignal;
  /** How long all requests may take. */
  readonly deadlineMs?: number | undefined;
}

/**
 * Asks a Unix socket that speaks HTTP: a GET for each path, one after the other; returns the trimmed bodies.
 * Each request has a connection of its own, which ends with its answer (HTTP/1.0), so that a process that is
 * stopping holds none. Throws {@linkcode NobodyListensError}, or {@linkcode SocketSilentError} for an answer
 * that does not arrive, does not end or has a status other than 200.
 */
export async function askOverHttp(
  path: string,
  queries: readonly string[],
  { signal, deadlineMs = DEADLINE_MS }: HttpSocketOptions,
): Promise<readonly string[]> {
  const deadline = AbortSignal.timeout(deadlineMs);
  const either = AbortSignal.any([signal, deadline]);
  const answers: string[] = [];
  try {
    for (const query of queries) answers.push(await ask(path, query, either));
    return answers;
  } catch (error) {
    signal.throwIfAborted();
    if (deadline.aborted) {
      throw new SocketSilentError(`No response at ${path} within ${formatDuration(deadlineMs)}`, { cause: error });
    }
    throw error;
  }
}

async function ask(path: string, query: string, signal: AbortSignal): Promise<string> {
  const connection = await connect(path);
  let isOpen = true;
  const close = () => {
    if (isOpen) connection.close();
    isOpen = false;
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    signal.throwIfAborted();
    const request = new TextEncoder().encode(`GET ${query} HTTP/1.0\r\nHost: localhost\r\n\r\n`);
    for (let sent = 0; sent < request.length;) sent += await connection.write(request.subarray(sent));
    return bodyOf(await readToEnd(connection, ANSWER_BYTES_MAX), path, query);
  } catch (error) {
    if (error instanceof SocketSilentError) throw error;
    throw new SocketSilentError(`Connection to ${path} lost: ${(error as Error).message}`, { cause: error });
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/** Whether somebody accepts connections at a Unix socket. */
export async function isListening(path: string): Promise<boolean> {
  try {
    (await connect(path)).close();
    return true;
  } catch (error) {
    if (error instanceof NobodyListensError) return false;
    throw error;
  }
}

async function connect(path: string): Promise<Deno.UnixConn> {
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused) {
      throw new NobodyListensError(`No process listens on ${path}`, { cause: error });
    }
    throw error;
  }
}

function bodyOf(answer: string, path: string, query: string): string {
  const end = answer.indexOf("\r\n\r\n");
  const status = /^HTTP\/1\.[01] ([0-9]{3})/.exec(answer)?.[1];
  if (end < 0 || status !== "200") {
    throw new SocketSilentError(
      `Unexpected response to GET ${query} at ${path}: expected status 200, received ${status ?? "no HTTP status"}`,
    );
  }
  return answer.slice(end + 4).trim();
}
