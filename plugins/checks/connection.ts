/**
 * One bounded exchange over one TCP or TLS connection: the base of every check
 * that uses a socket. The connection is always closed
 * at the end, and at once when the signal is aborted.
 *
 * @module
 */
import type { Endpoint, ProbeOutcome } from "../../mod.ts";
import { ownFault } from "../../src/kernel/own_fault.ts";
import { type HostPort, parseEndpoint } from "../../src/model/endpoint.ts";
import { connectTcp } from "../../src/system/tcp.ts";
import type { ByteStream } from "../../src/system/byte_stream.ts";
import { isCertificateCode } from "./certificate_error.ts";
import type { TlsOptions } from "./tls_connect.ts";

export interface ExchangeOptions {
  /** Closes the connection when it is aborted. */
  readonly signal: AbortSignal;
  /** Uses TLS if given. */
  readonly tls?: TlsOptions | undefined;
}

/** Thrown when a probe cannot run, which says nothing about the service; the message is for an operator. */
export class CannotProbeError extends Error {
  override name = "CannotProbeError";
}

/** Thrown when the other side misbehaves; the message is for an operator. */
export class ProbeError extends Error {
  override name = "ProbeError";
}

/**
 * Connects to the target and runs `talk` on the connection. Errors on the
 * way become a failed outcome with a reason for people.
 *
 * @throws the signal's reason when it is aborted; errors that are not the other side's fault
 */
export async function exchange(
  target: Endpoint,
  { signal, tls }: ExchangeOptions,
  talk: (connection: Connection) => Promise<ProbeOutcome>,
): Promise<ProbeOutcome> {
  signal.throwIfAborted();
  const address = parseEndpoint(target);
  if (address === undefined) throw new TypeError(`Cannot probe "${target}": must be host:port`);
  let stream: ByteStream | undefined;
  const close = () => {
    try {
      stream?.close();
    } catch (error) {
      // Already closed here: at the end, or by the abort.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    stream = tls === undefined ? await connectTcp(address, signal) : await secure(address, tls, signal);
    // Between the connect and this line, nobody listened to the signal.
    signal.throwIfAborted();
    return await talk(new Connection(stream, target));
  } catch (error) {
    signal.throwIfAborted();
    return outcomeOf(error, target);
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

async function secure(address: HostPort, tls: TlsOptions, signal: AbortSignal): Promise<ByteStream> {
  const { connectTls } = await import("./tls_connect.ts");
  // Without verification, no CA file has to be read, and no permission for it granted.
  const caCertificates = tls.ca === undefined || !tls.verify ? undefined : await readAuthorities(tls.ca, signal);
  signal.throwIfAborted();
  return await connectTls(address, { ...tls, caCertificates }, signal);
}

/**
 * Reads a CA file: again for each probe, so that a renewed file counts without a restart.
 *
 * @throws {CannotProbeError} if it cannot be read, or contains no certificate
 */
export async function readAuthorities(path: string, signal: AbortSignal): Promise<string> {
  let pem: string;
  try {
    pem = await Deno.readTextFile(path, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new CannotProbeError(`Cannot read CA file ${path}: ${error instanceof Error ? error.message : error}`);
  }
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new CannotProbeError(`Cannot use CA file ${path}: no PEM certificate found`);
  }
  return pem;
}

/** One line, or the part that arrived. */
export interface Line {
  /** The bytes before the line feed, or everything before the end. */
  readonly bytes: Uint8Array;
  /** Whether there was a line feed. */
  readonly terminated: boolean;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
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

  /** Writes all bytes. */
  async write(data: string | Uint8Array): Promise<void> {
    let rest = typeof data === "string" ? new TextEncoder().encode(data) : data;
    while (rest.length > 0) rest = rest.subarray(await this.#stream.write(rest));
  }

  /**
   * Reads up to the next line feed, or to the end.
   *
   * @param tooLong how to name more than `maxBytes` without a line feed in the error
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

  /**
   * Reads lines up to the next empty one, or to the end: all at once, as each wait for a line costs more than its bytes.
   *
   * @param tooLong how to name more than `maxBytes` without an empty line in the error
   * @throws {ProbeError} if it is
   */
  async readLines(maxBytes: number, tooLong: string): Promise<Line> {
    let [line, looked] = [0, 0];
    for (;;) {
      const length = this.#end - this.#start;
      const at = this.#buffer.subarray(this.#start + looked, this.#end).indexOf(LINE_FEED);
      const next = at < 0 ? length : looked + at;
      if (next > maxBytes) throw new ProbeError(`Got ${tooLong} from ${this.target}`);
      if (at >= 0) {
        const isEmpty = next === line || next === line + 1 && this.#buffer[this.#start + line] === CARRIAGE_RETURN;
        if (isEmpty) {
          const bytes = this.#take(line);
          this.#start += next - line + 1;
          return { bytes, terminated: true };
        }
        line = looked = next + 1;
        continue;
      }
      looked = length;
      if (!await this.#fill()) return { bytes: this.#take(length), terminated: false };
    }
  }

  /** Reads the next bytes, at most `maxBytes`; empty at the end. */
  async readSome(maxBytes: number): Promise<Uint8Array> {
    if (this.#start === this.#end) await this.#fill();
    return this.#take(Math.min(maxBytes, this.#end - this.#start));
  }

  #take(length: number): Uint8Array {
    const bytes = this.#buffer.slice(this.#start, this.#start + length);
    this.#start += length;
    return bytes;
  }

  /** Reads more; `false` at the end. */
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
    const count = await this.#stream.read(this.#buffer.subarray(this.#end));
    this.#end += count ?? 0;
    return count !== null && count > 0;
  }
}

/** Quotes what a server sent: at most 80 characters, controls escaped. */
export function quoteBytes(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, 320));
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

/**
 * Explains a failed exchange: as a failure if the other
 * side may be at fault, as unknown if this host is. Other errors are rethrown.
 */
export function outcomeOf(error: unknown, target: Endpoint): ProbeOutcome {
  if (error instanceof CannotProbeError) return { status: "unknown", reason: error.message };
  if (error instanceof ProbeError) return { status: "fail", reason: error.message };
  const lack = isDenied(error) ? undefined : ownFault(error);
  if (lack !== undefined) return { status: "unknown", reason: `Cannot probe ${target}: ${lack}` };
  return { status: "fail", reason: explain(error, target) };
}

/** Whether the sandbox denied it: `node:net` and `node:tls` report that like a denial of the system. */
function isDenied(error: unknown): boolean {
  if (error instanceof Deno.errors.NotCapable) return true;
  return (error as { readonly code?: unknown } | undefined)?.code === "EPERM" &&
    !(error instanceof Deno.errors.PermissionDenied);
}

function explain(error: unknown, target: Endpoint): string {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) throw error;
  if (isDenied(error)) throw new Deno.errors.NotCapable(error.message);
  if (/^failed to lookup address/.test(error.message)) return `Cannot resolve ${target}: ${error.message}`;
  const code = (error as { readonly code?: unknown }).code;
  if (typeof code !== "string") throw error;
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
    case "ENOTFOUND":
      return `Cannot resolve ${target}: ${error.message}`;
  }
  if (isCertificateCode(code)) return `Invalid certificate from ${target}: ${error.message}`;
  if (code.startsWith("ERR_SSL_")) return `TLS error from ${target}: ${error.message}`;
  return `Connection to ${target} failed: ${error.message}`;
}
