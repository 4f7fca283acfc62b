/**
 * ZooKeeper's wire format, as far as a registry needs it: big-endian "jute"
 * records in frames that begin with their length. Pure. The records are those
 * of `zookeeper.jute` in ZooKeeper 3.4 to 3.9.
 *
 * @module
 */

/** What a request asks for. */
export const OPERATION = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  sync: 9,
  ping: 11,
  getChildren: 12,
  multi: 14,
  auth: 100,
  closeSession: -11,
} as const;

/** Answers that no request waits for by its number. */
export const XID = { notification: -1, ping: -2, auth: -4 } as const;

/** The error codes that mean something here. */
export const ERROR = {
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  sessionExpired: -112,
  invalidAcl: -114,
  authFailed: -115,
  sessionMoved: -118,
} as const;

/** Names for messages; a code that is not here is shown as a number. */
const ERROR_NAMES: ReadonlyMap<number, string> = new Map([
  [-1, "system error"],
  [-5, "marshalling error"],
  [-6, "unimplemented"],
  [-7, "operation timeout"],
  [-8, "bad arguments"],
  [ERROR.noNode, "no node"],
  [ERROR.noAuth, "not authorised"],
  [ERROR.badVersion, "bad version"],
  [ERROR.noChildrenForEphemerals, "no children for ephemerals"],
  [ERROR.nodeExists, "node exists"],
  [-111, "not empty"],
  [ERROR.sessionExpired, "session expired"],
  [ERROR.invalidAcl, "invalid ACL"],
  [ERROR.authFailed, "authentication failed"],
  [ERROR.sessionMoved, "session moved"],
  [-119, "not read-only"],
  [-125, "quota exceeded"],
  [-127, "throttled"],
]);

/** Says an error code in words. */
export function errorName(code: number): string {
  return ERROR_NAMES.get(code) ?? `error ${code}`;
}

/** The most bytes of one answer. A list of 100,000 children has 5 MB. */
const FRAME_BYTES_MAX = 16 * 1_024 * 1_024;

/** Raised for bytes that are no answer of ZooKeeper's. */
export class WireFormatError extends Error {
  override name = "WireFormatError";
}

/** Who may do what with a znode. */
export interface Acl {
  /** A sum of 1 read, 2 write, 4 create, 8 delete, 16 administer. */
  readonly permissions: number;
  /** `world`, `auth`, `digest`, … */
  readonly scheme: string;
  /** Who, in the scheme's words. */
  readonly id: string;
}

/** What ZooKeeper keeps of a znode beside its data; less what nobody asks for. */
export interface Stat {
  /** The transaction that created it: another number is another znode. */
  readonly createdZxid: bigint;
  /** The transaction that changed its data last. */
  readonly modifiedZxid: bigint;
  /** Changes of the data since it was created. */
  readonly version: number;
  /** The session that it ends with; 0 if it is persistent. */
  readonly ephemeralOwner: bigint;
}

/** What a watch reports; one that is not known is of no use and has type 0. */
export interface WatchEvent {
  /** 1 created, 2 deleted, 3 data changed, 4 children changed. */
  readonly type: number;
  /** The znode. */
  readonly path: string;
}

/** Writes records; grows as needed. */
export class WireWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 4;

  /** A 32 bit integer. */
  int(value: number): this {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value);
    return this;
  }

  /** A 64 bit integer. */
  long(value: bigint): this {
    const at = this.#reserve(8);
    this.#view.setBigInt64(at, value);
    return this;
  }

  /** A flag. */
  flag(value: boolean): this {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value ? 1 : 0);
    return this;
  }

  /** Bytes with their length. */
  bytes(value: Uint8Array): this {
    this.int(value.length);
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** A text with its length. */
  text(value: string): this {
    return this.bytes(new TextEncoder().encode(value));
  }

  /** Who may do what. */
  acl(entries: readonly Acl[]): this {
    this.int(entries.length);
    for (const { permissions, scheme, id } of entries) this.int(permissions).text(scheme).text(id);
    return this;
  }

  /** The whole frame, its length in front. */
  frame(): Uint8Array {
    this.#view.setInt32(0, this.#length - 4);
    return this.#bytes.subarray(0, this.#length);
  }

  /** Answers where to write; call it before `#bytes` or `#view` is named, since it may replace both. */
  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}

/** Reads records; whatever does not fit raises {@linkcode WireFormatError}. */
export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A 32 bit integer. */
  int(): number {
    return this.#view.getInt32(this.#take(4));
  }

  /** A 64 bit integer. */
  long(): bigint {
    return this.#view.getBigInt64(this.#take(8));
  }

  /** A flag. */
  flag(): boolean {
    return this.#view.getUint8(this.#take(1)) !== 0;
  }

  /** Bytes with their length; "none at all" (-1) is read as no bytes. */
  bytes(): Uint8Array {
    const length = this.int();
    if (length < -1) throw new WireFormatError(`Cannot read bytes as their length must be >= -1: it is ${length}`);
    const at = this.#take(Math.max(0, length));
    return this.#bytes.subarray(at, this.#at);
  }

  /** A text with its length. */
  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  /** A list of texts. */
  texts(): string[] {
    const count = this.int();
    const texts: string[] = [];
    for (let left = count; left > 0; left--) texts.push(this.text());
    return texts;
  }

  /** What is known of a znode. */
  stat(): Stat {
    const createdZxid = this.long();
    const modifiedZxid = this.long();
    this.#take(16); // When it was created and changed.
    const version = this.int();
    this.#take(8); // Versions of its children and its ACL.
    const ephemeralOwner = this.long();
    this.#take(16); // The length of its data, its number of children, and the last change of these.
    return { createdZxid, modifiedZxid, version, ephemeralOwner };
  }

  /** What a watch reports. */
  watchEvent(): WatchEvent {
    const type = this.int();
    this.int(); // The state of the session, which the connection itself tells.
    return { type, path: this.text() };
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) {
      throw new WireFormatError(`Cannot read ${count} bytes as only ${this.#bytes.length - at} are left`);
    }
    this.#at += count;
    return at;
  }
}

/** Cuts a stream of bytes into frames, whatever pieces it comes in. */
export class FrameCutter {
  #rest = new Uint8Array(0);

  /**
   * Takes the next piece and answers the frames that are complete, less their
   * length. They are copies: the piece's memory may be used again.
   */
  push(piece: Uint8Array): readonly Uint8Array[] {
    const bytes = new Uint8Array(this.#rest.length + piece.length);
    bytes.set(this.#rest);
    bytes.set(piece, this.#rest.length);
    const view = new DataView(bytes.buffer);
    const frames: Uint8Array[] = [];
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = view.getInt32(at);
      if (length < 0 || length > FRAME_BYTES_MAX) {
        throw new WireFormatError(`Cannot take a frame as it must have at most ${FRAME_BYTES_MAX} bytes: ${length}`);
      }
      if (bytes.length - at - 4 < length) break;
      frames.push(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.#rest = bytes.slice(at);
    return frames;
  }
}
