/**
 * DNS messages (RFC 1035): one question, and the parsed answer. An
 * answer comes from the network, so every byte is validated. Pure.
 *
 * @module
 */
import { isHostName } from "../model/endpoint.ts";

/** The supported types of records. */
export const RECORD_TYPES = { A: 1, AAAA: 28, SRV: 33 } as const;

/** A supported type of records. */
export type RecordType = keyof typeof RECORD_TYPES;

/** Location of a service (RFC 2782). */
export interface Srv {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** The name of the host; `.` if the service is explicitly not offered. */
  readonly target: string;
}

/** An answer to a question. */
export interface Answer {
  /** 0: `NOERROR`; 3: no such name. */
  readonly rcode: number;
  /** Addresses of an A or AAAA question, with aliases followed. */
  readonly addresses: readonly string[];
  /** Records of an SRV question. */
  readonly services: readonly Srv[];
  /** Validity of the answer: the least TTL of its records, or of the negative answer. */
  readonly ttlSeconds: number | undefined;
}

/** The code of an answer to the query for a name that does not exist. */
export const NO_SUCH_NAME = 3;

const CNAME = 5;
const SOA = 6;
const IN = 1;
/** Maximum number of pointers in a name: one before each label. */
const POINTERS_MAX = 127;
/** Maximum length of a chain of aliases. */
const ALIASES_MAX = 16;

/** Encodes a question. Throws a `RangeError` for an invalid name. */
export function encodeQuestion(id: number, name: string, type: RecordType): Uint8Array {
  const labels = name === "" ? [] : name.split(".");
  if (name.length > 253 || labels.some((label) => label.length < 1 || label.length > 63)) {
    throw new RangeError(`Cannot query ${JSON.stringify(name.slice(0, 260))}: not a domain name`);
  }
  const encoder = new TextEncoder();
  const question = labels.flatMap((label) => [label.length, ...encoder.encode(label)]);
  // One question; recursion is desired.
  const header = [id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...header, ...question, 0, 0, RECORD_TYPES[type], 0, IN]);
}

/** Parses an answer. Throws a `SyntaxError` if it does not answer this question. */
export function decodeAnswer(
  bytes: Uint8Array,
  { id, name, type }: { readonly id: number; readonly name: string; readonly type: RecordType },
): Answer {
  const reader = new Reader(bytes);
  const [answered, flags, questions] = [reader.u16(), reader.u16(), reader.u16()];
  const [answers, authorities] = [reader.u16(), reader.u16()];
  reader.u16();
  if (answered !== id || (flags & 0x8000) === 0) throw new SyntaxError("the message is not a response to the query");
  const rcode = flags & 0x0f;
  // Some servers omit the question in an error.
  if (questions > 1 || (questions === 0 && rcode === 0)) {
    throw new SyntaxError("the message is a response to another query");
  }
  if (questions === 1) {
    const [asked, asType, asClass] = [reader.name(), reader.u16(), reader.u16()];
    if (!isSame(asked, name) || asType !== RECORD_TYPES[type] || asClass !== IN) {
      throw new SyntaxError("the message is a response to another query");
    }
  }
  if (rcode !== 0 && rcode !== NO_SUCH_NAME) return { rcode, addresses: [], services: [], ttlSeconds: undefined };
  const records = Array.from({ length: answers }, () => reader.record());
  const negative = Array.from({ length: authorities }, () => reader.record()).find(({ type }) => type === SOA);
  const ttls: number[] = [];
  let owner = name;
  for (let aliases = 0; aliases < ALIASES_MAX; aliases++) {
    const alias = records.find((record) => record.type === CNAME && isSame(record.owner, owner));
    if (alias?.target === undefined) break;
    ttls.push(alias.ttl);
    owner = alias.target;
  }
  const found = records.filter((record) => record.type === RECORD_TYPES[type] && isSame(record.owner, owner));
  const [addresses, services] = [
    found.flatMap(({ address }) => address ?? []),
    found.flatMap(({ srv }) => srv ?? []),
  ];
  if (rcode === NO_SUCH_NAME && found.length > 0) {
    throw new SyntaxError("the response has code NXDOMAIN, but contains records");
  }
  if (addresses.length + services.length > 0) ttls.push(...found.map(({ ttl }) => ttl));
  else if (found.length > 0) throw new SyntaxError("no valid record in the response");
  else if (negative?.minimum !== undefined) ttls.push(Math.min(negative.ttl, negative.minimum));
  else ttls.length = 0;
  return { rcode, addresses, services, ttlSeconds: ttls.length === 0 ? undefined : Math.min(...ttls) };
}

/** One parsed record; parts are absent if the type is another, or the data unusable. */
interface AnyRecord {
  readonly owner: string | undefined;
  readonly type: number;
  readonly ttl: number;
  readonly target?: string | undefined;
  readonly address?: string | undefined;
  readonly srv?: Srv | undefined;
  readonly minimum?: number | undefined;
}

function isSame(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a.toLowerCase() === b.toLowerCase();
}

/** Reads a message from start to end. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  u8(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new SyntaxError("the message ends prematurely");
    return byte;
  }

  u16(): number {
    return this.u8() << 8 | this.u8();
  }

  u32(): number {
    return this.u16() * 0x1_0000 + this.u16();
  }

  /** A domain name, the root as `""`; `undefined` for a well-formed name that no host can have. */
  name(): string | undefined {
    const labels: string[] = [];
    let [length, pointers, end] = [0, 0, undefined as number | undefined];
    // Pointers may only point backwards, so that they end.
    for (let limit = this.#at;;) {
      const size = this.u8();
      if (size === 0) break;
      if (size >= 0xc0) {
        const target = (size & 0x3f) << 8 | this.u8();
        if (target >= limit) throw new SyntaxError("a compression pointer points forward");
        // A chain through a long message for each record would block the process for seconds.
        if (++pointers > POINTERS_MAX) throw new SyntaxError("a name has too many compression pointers");
        end ??= this.#at;
        limit = this.#at = target;
        continue;
      }
      if (size > 63) throw new SyntaxError("a label is longer than 63 bytes");
      length += size + 1;
      if (length > 255) throw new SyntaxError("a name is longer than 255 bytes");
      const label = Array.from({ length: size }, () => this.u8());
      labels.push(String.fromCharCode(...label));
    }
    this.#at = end ?? this.#at;
    const name = labels.join(".");
    return name === "" || (labels.every((label) => !label.includes(".")) && isHostName(name)) ? name : undefined;
  }

  record(): AnyRecord {
    const [owner, type, kind, ttl, length] = [this.name(), this.u16(), this.u16(), this.u32(), this.u16()];
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new SyntaxError("the message ends prematurely");
    // A TTL above 2^31 counts as 0 (RFC 2181).
    const base = { owner, type, ttl: ttl > 0x7fff_ffff ? 0 : ttl };
    const data = kind === IN ? this.#data(type, length) : {};
    if (this.#at > end) throw new SyntaxError("a record exceeds its declared length");
    this.#at = end;
    return { ...base, ...data };
  }

  #data(type: number, length: number): Partial<AnyRecord> {
    switch (type) {
      case RECORD_TYPES.A:
        return length === 4 ? { address: Array.from({ length }, () => this.u8()).join(".") } : {};
      case RECORD_TYPES.AAAA: {
        if (length !== 16) return {};
        const address = Array.from({ length: 8 }, () => this.u16().toString(16)).join(":");
        // In the canonical short form (RFC 5952).
        return { address: new URL(`http://[${address}]`).hostname.slice(1, -1) };
      }
      case RECORD_TYPES.SRV: {
        if (length < 7) return {};
        const [priority, weight, port, target] = [this.u16(), this.u16(), this.u16(), this.name()];
        return target === undefined ? {} : { srv: { priority, weight, port, target: target === "" ? "." : target } };
      }
      case CNAME:
        return { target: this.name() };
      case SOA: {
        [this.name(), this.name()];
        [this.u32(), this.u32(), this.u32(), this.u32()];
        return { minimum: this.u32() };
      }
      default:
        return {};
    }
  }
}
