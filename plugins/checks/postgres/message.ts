/**
 * The part of PostgreSQL's protocol, version 3, that a check needs:
 * messages to the server as bytes, those from it parsed.
 *
 * @module
 */
import { type Connection, ProbeError } from "../connection.ts";

/** Requests TLS; the server answers with one letter, `S` or `N`. */
export const TLS_REQUEST: Uint8Array = new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** The protocol's version 3.0. */
const VERSION = 196_608;

/** Maximum size of one message, and of all messages of a probe. */
const MESSAGE_BYTES_MAX = 65_536;
const ALL_BYTES_MAX = 1_048_576;

/** One message of the server. */
export interface Message {
  /** The letter of its type. */
  readonly type: string;
  /** The bytes after the letter and the length. */
  readonly body: Uint8Array;
}

/** An error of the server. */
export interface Complaint {
  /** Five letters and digits; https://www.postgresql.org/docs/current/errcodes-appendix.html. */
  readonly code: string;
  /** In words. */
  readonly text: string;
}

/** Formats the message that starts a session. */
export function formatStartup(parameters: { readonly [name: string]: string }): Uint8Array {
  const text = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`).join("");
  const body = new TextEncoder().encode(`${text}\0`);
  const bytes = new Uint8Array(8 + body.length);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, bytes.length);
  view.setInt32(4, VERSION);
  bytes.set(body, 8);
  return bytes;
}

/** Formats any other message. */
export function formatMessage(type: string, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const bodies = parts.map((part) => typeof part === "string" ? new TextEncoder().encode(part) : part);
  const length = bodies.reduce((sum, body) => sum + body.length, 4);
  const bytes = new Uint8Array(1 + length);
  bytes[0] = type.charCodeAt(0);
  new DataView(bytes.buffer).setInt32(1, length);
  let at = 5;
  for (const body of bodies) {
    bytes.set(body, at);
    at += body.length;
  }
  return bytes;
}

/** Encodes a number in four bytes. */
export function formatInt32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  return bytes;
}

/** Reads the server's messages in turn, within limits. */
export class MessageReader {
  readonly #connection: Connection;
  #total = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Reads the next answer: unsolicited messages of the server (notices, settings, the cancellation key)
   * are skipped.
   *
   * @throws {ProbeError} if it is not PostgreSQL's protocol, or exceeds the limits
   */
  async next(): Promise<Message> {
    for (;;) {
      const message = await this.#read();
      if (!"NSKAv".includes(message.type)) return message;
    }
  }

  async #read(): Promise<Message> {
    const { target } = this.#connection;
    const head = await this.#exactly(5);
    const type = String.fromCharCode(head[0] ?? 0);
    const length = new DataView(head.buffer, head.byteOffset).getInt32(1);
    if (!/[A-Za-z0-9]/.test(type) || length < 4) {
      throw new ProbeError(`${target} does not speak the PostgreSQL protocol`);
    }
    this.#total += length;
    if (length > MESSAGE_BYTES_MAX || this.#total > ALL_BYTES_MAX) {
      throw new ProbeError(`Got a message from ${target} that is too long or not part of the PostgreSQL protocol`);
    }
    return { type, body: await this.#exactly(length - 4) };
  }

  async #exactly(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const some = await this.#connection.readSome(count - at);
      if (some.length === 0) {
        throw new ProbeError(`${this.#connection.target} closed the connection without a response`);
      }
      bytes.set(some, at);
      at += some.length;
    }
    return bytes;
  }
}

/** Parses an ErrorResponse: fields with a letter each. */
export function parseComplaint(body: Uint8Array): Complaint {
  const fields = new Map(
    new TextDecoder().decode(body).split("\0").filter((field) => field !== "").map((
      field,
    ) => [field[0], field.slice(1)]),
  );
  return { code: fields.get("C") ?? "", text: fields.get("M") ?? "" };
}

/** Parses the first column of a DataRow: `null` as in SQL, `undefined` without columns or for an invalid message. */
export function parseFirstColumn(body: Uint8Array): string | null | undefined {
  if (body.length < 6) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const length = view.getInt32(2);
  if (view.getInt16(0) < 1 || length < -1 || 6 + length > body.length) return undefined;
  return length === -1 ? null : new TextDecoder().decode(body.subarray(6, 6 + length));
}

/** Parses the number at the start of an authentication message, and the rest. */
export function parseAuthentication({ body }: Message): { readonly method: number; readonly data: Uint8Array } {
  const method = body.length < 4 ? -1 : new DataView(body.buffer, body.byteOffset).getInt32(0);
  return { method, data: body.subarray(4) };
}
