/**
 * One bounded exchange over one TCP or TLS connection: what every check that
 * speaks over a socket is made of. Whatever happens, the connection is closed
 * in the end, and at once when the signal is aborted.
 *
 * @module
 */
import type { Endpoint, ProbeOutcome } from "../../mod.ts";
import { isIpv4, isIpv6, parseEndpoint } from "../../src/model/endpoint.ts";

/** How a connection is secured. */
export interface TlsOptions {
  /** Whether the server's certificate must be valid. */
  readonly verify: boolean;
  /** The file of the authorities (PEM) that are trusted besides the known ones. */
  readonly ca?: string | undefined;
  /** The name that is asked for (SNI) and that the certificate must bear; the target's host unless given. */
  readonly serverName?: string | undefined;
}

/** What an exchange needs besides its target. */
export interface ExchangeOptions {
  /** Closes the connection when it is aborted. */
  readonly signal: AbortSignal;
  /** Speaks TLS if it is given. */
  readonly tls?: TlsOptions | undefined;
}

/** Raised when the other side does not do what it should; the message is for an operator. */
export class ProbeError extends Error {
  override name = "ProbeError";
}

/** The bytes of a connection, plain or secured. */
export interface ByteStream {
  /** Reads some bytes into the buffer; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes; answers how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Closes both directions. */
  close(): void;
}

/**
 * Connects to the target and lets `talk` speak with it. What goes wrong on the
 * way becomes a failed outcome with a reason for humans.
 *
 * @throws the signal's reason when it is aborted; what is no fault of the other side
 */
export async function exchange(
  target: Endpoint,
  { signal, tls }: ExchangeOptions,
  talk: (connection: Connection) => Promise<ProbeOutcome>,
): Promise<ProbeOutcome> {
  signal.throwIfAborted();
  const address = parseEndpoint(target);
  if (address === undefined) throw new TypeError(`Cannot probe "${target}" as it must be host:port`);
  let stream: ByteStream | undefined;
  const close = () => {
    try {
      stream?.close();
    } catch (error) {
      // Closed by the other way here already: at the end, or by the abort.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    if (tls?.verify === false) {
      const { connectUnverified } = await import("./unverified_tls.ts");
      const serverName = tls.serverName ?? address.host;
      // An address has no place in SNI.
      stream = connectUnverified(address, isIpv4(serverName) || isIpv6(serverName) ? undefined : serverName);
    } else {
      const plain = await Deno.connect({ hostname: address.host, port: address.port, signal });
      stream = plain;
      if (tls !== undefined) {
        const caCerts = tls.ca === undefined ? [] : [await readAuthority(tls.ca, signal)];
        signal.throwIfAborted();
        const secured = await Deno.startTls(plain, { hostname: tls.serverName ?? address.host, caCerts });
        stream = secured;
        signal.throwIfAborted();
        await secured.handshake();
      }
    }
    return await talk(new Connection(stream, target));
  } catch (error) {
    signal.throwIfAborted();
    return { status: "fail", reason: explain(error, target) };
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/** Read anew for each probe, so that a renewed file counts without a restart. */
async function readAuthority(path: string, signal: AbortSignal): Promise<string> {
  try {
    return await Deno.readTextFile(path, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new ProbeError(`Cannot read ca ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** One line, as far as it came. */
export interface Line {
  /** The bytes before the line feed, or all that came before the end. */
  readonly bytes: Uint8Array;
  /** Whether the line feed came. */
  readonly terminated: boolean;
}

const LINE_FEED = 0x0a;
const FIRST_BUFFER_BYTES = 4_096;

/** Reads and writes with bounds. Only valid within {@linkcode exchange}. */
export class Connection {
  readonly #stream: ByteStream;
  /** The address at the other end. */
  readonly target: Endpoint;
  #buffer = new Uint8Array(FIRST_BUFFER_BYTES);
  #start = 0;
  #end = 0;

  constructor(stream: ByteStream, target: Endpoint) {
    this.#stream = stream;
    this.target = target;
  }

  /** Writes all of it. */
  async write(data: string | Uint8Array): Promise<void> {
    let rest = typeof data === "string" ? new TextEncoder().encode(data) : data;
    while (rest.length > 0) rest = rest.subarray(await this.#stream.write(rest));
  }

  /**
   * Reads up to the next line feed, or to the end.
   *
   * @param tooLong what to call what came if it is more than `maxBytes` without a line feed
   * @throws {ProbeError} if it is
   */
  async readLine(maxBytes: number, tooLong = `a line of more than ${maxBytes} bytes`): Promise<Line> {
    let looked = 0;
    for (;;) {
      const at = this.#buffer.subarray(this.#start + looked, this.#end).indexOf(LINE_FEED);
      const length = at < 0 ? this.#end - this.#start : looked + at;
      if (length > maxBytes) throw new ProbeError(`Got ${tooLong} from ${this.target}`);
      if (at >= 0) {
        const bytes = this.#take(length);
        this.#start++;
        return { bytes, terminated: true };
      }
      looked = length;
      if (!await this.#fill()) return { bytes: this.#take(length), terminated: false };
    }
  }

  /** Reads what comes next, at most `maxBytes`; nothing at the end. */
  async readSome(maxBytes: number): Promise<Uint8Array> {
    if (this.#start === this.#end) await this.#fill();
    return this.#take(Math.min(maxBytes, this.#end - this.#start));
  }

  #take(length: number): Uint8Array {
    const bytes = this.#buffer.slice(this.#start, this.#start + length);
    this.#start += length;
    return bytes;
  }

  /** Reads more behind what is there; `false` at the end. */
  async #fill(): Promise<boolean> {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    try {
      const count = await this.#stream.read(this.#buffer.subarray(this.#end));
      this.#end += count ?? 0;
      return count !== null && count > 0;
    } catch (error) {
      // A TLS peer that just hangs up instead of saying goodbye: for a probe the end all the same.
      if (error instanceof Deno.errors.UnexpectedEof) return false;
      throw error;
    }
  }
}

/** Quotes what a server sent for a message: at most 80 characters, controls escaped. */
export function quoteBytes(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, 320));
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

/** Says in an operator's words why an exchange failed; what is no fault of the other side is thrown on. */
function explain(error: unknown, target: Endpoint): string {
  if (error instanceof ProbeError) return error.message;
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) throw error;
  const code = (error as { readonly code?: unknown }).code;
  switch (code) {
    case "ECONNREFUSED":
      return `Connection refused at ${target}`;
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
      return `Connection reset by ${target}`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `No route to ${target}`;
    case "ETIMEDOUT":
      return `No connection to ${target}: ${error.message}`;
  }
  if (error instanceof Deno.errors.UnexpectedEof) return `${target} closed the connection during the TLS handshake`;
  if (error instanceof Deno.errors.InvalidData || (typeof code === "string" && code.startsWith("ERR_SSL_"))) {
    const certificate = /^invalid peer certificate: (.*)$/.exec(error.message)?.[1];
    return certificate === undefined
      ? `${target} does not speak TLS as expected: ${error.message}`
      : `The certificate of ${target} is not valid: ${certificate}`;
  }
  if (/^failed to lookup address/.test(error.message) || code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return `Cannot resolve the name of ${target}: ${error.message}`;
  }
  if (code !== undefined || Object.values(Deno.errors).some((known) => error instanceof known)) {
    return `Cannot talk to ${target}: ${error.message}`;
  }
  throw error;
}
