/**
 * ZooKeeper's wire format: records of its serializer, Jute, in frames with a length prefix. Pure but for
 * {@linkcode FrameReader}, which reads a stream. Data from a server is untrusted: a length beyond the frame,
 * or a frame that is larger than allowed, is a {@linkcode JuteError}.
 *
 * @module
 */

/** Raised for bytes that are not a valid record or frame. */
export class JuteError extends Error {
  override name = "JuteError";
}

/** The operation codes of requests (`ZooDefs.OpCode`). */
export const OP = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getChildren: 8,
  sync: 9,
  ping: 11,
  multi: 14,
  auth: 100,
  close: -11,
  /** Only in the answer to `multi`: the code of an operation that failed. */
  error: -1,
} as const;

/** The request numbers of special requests. */
export const XID = { event: -1, ping: -2, auth: -4 } as const;

/** Bytes before each frame. */
const LENGTH_BYTES = 4;
const FIRST_BUFFER_BYTES = 4_096;
const encoder = new TextEncoder();
// Lenient, since one malformed name must not cost all others; a name that was repaired so matches no path.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Writes records into one frame. */
export class JuteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = LENGTH_BYTES;

  /** A signed number of 32 bits. */
  int(value: number): this {
    this.#room(4);
    this.#view.setInt32(this.#length, value);
    this.#length += 4;
    return this;
  }

  /** A signed number of 64 bits. */
  long(value: bigint): this {
    this.#room(8);
    this.#view.setBigInt64(this.#length, value);
    this.#length += 8;
    return this;
  }

  /** A boolean. */
  bool(value: boolean): this {
    this.#room(1);
    this.#bytes[this.#length++] = value ? 1 : 0;
    return this;
  }

  /** Bytes with their length. */
  buffer(value: Uint8Array): this {
    this.int(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** A string in UTF-8. */
  string(value: string): this {
    return this.buffer(encoder.encode(value));
  }

  /** A list. */
  vector<T>(items: readonly T[], write: (item: T) => void): this {
    this.int(items.length);
    for (const item of items) write(item);
    return this;
  }

  /** The frame: its length, and all that was written. */
  frame(): Uint8Array {
    this.#view.setInt32(0, this.#length - LENGTH_BYTES);
    return this.#bytes.subarray(0, this.#length);
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + count));
    larger.set(this.#bytes);
    [this.#bytes, this.#view] = [larger, new DataView(larger.buffer)];
  }
}

/** Reads records from the content of one frame. */
export class JuteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes were not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** A signed number of 32 bits. */
  int(): number {
    return this.#view.getInt32(this.#skip(4));
  }

  /** A signed number of 64 bits. */
  long(): bigint {
    return this.#view.getBigInt64(this.#skip(8));
  }

  /** A boolean. */
  bool(): boolean {
    return this.#bytes[this.#skip(1)] !== 0;
  }

  /** Bytes with their length, as a copy; those of length -1, ZooKeeper's `null`, are empty. */
  buffer(): Uint8Array {
    const length = this.#count(1);
    const from = this.#skip(length);
    return this.#bytes.slice(from, from + length);
  }

  /** A string in UTF-8. */
  string(): string {
    const length = this.#count(1);
    const from = this.#skip(length);
    return decoder.decode(this.#bytes.subarray(from, from + length));
  }

  /** A list; each item takes at least `bytesMin`. */
  vector<T>(bytesMin: number, read: () => T): T[] {
    return Array.from({ length: this.#count(bytesMin) }, read);
  }

  /** Reads a count of items that have at least so many bytes each: more than the frame holds is invalid. */
  #count(bytesMin: number): number {
    const count = this.int();
    if (count < -1 || count * bytesMin > this.left) {
      throw new JuteError(`length ${count} in a frame with ${this.left} bytes left`);
    }
    return Math.max(0, count);
  }

  #skip(count: number): number {
    if (count > this.left) throw new JuteError(`frame ends ${count - this.left} bytes early`);
    const from = this.#at;
    this.#at += count;
    return from;
  }
}

/** Splits what a server sends into frames, none larger than allowed. */
export class FrameReader {
  readonly #read: (buffer: Uint8Array) => Promise<number | null>;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_BUFFER_BYTES);
  #start = 0;
  #end = 0;

  /** `read` fills a buffer and returns how far, or `null` at the end, as `Deno.Conn` does. */
  constructor(read: (buffer: Uint8Array) => Promise<number | null>) {
    this.#read = read;
  }

  /**
   * Returns the content of the next frame, valid until the next call; `undefined` when the stream ends, in
   * the middle of a frame too.
   *
   * @throws {JuteError} if its length is negative, or more than `bytesMax`
   */
  async next(bytesMax: number): Promise<Uint8Array | undefined> {
    if (!await this.#fill(LENGTH_BYTES)) return undefined;
    const length = new DataView(this.#bytes.buffer).getInt32(this.#start);
    if (length < 0 || length > bytesMax) {
      throw new JuteError(`length ${length} exceeds the limit of ${bytesMax} bytes`);
    }
    if (!await this.#fill(LENGTH_BYTES + length)) return undefined;
    const from = this.#start + LENGTH_BYTES;
    this.#start = from + length;
    return this.#bytes.subarray(from, from + length);
  }

  /**
   * Reads until so many bytes are available. The buffer grows with what arrives, not with what was announced.
   */
  async #fill(count: number): Promise<boolean> {
    while (this.#end - this.#start < count) {
      if (this.#start > 0) {
        this.#bytes.copyWithin(0, this.#start, this.#end);
        this.#end -= this.#start;
        this.#start = 0;
      }
      if (this.#end === this.#bytes.length) {
        const larger = new Uint8Array(2 * this.#bytes.length);
        larger.set(this.#bytes);
        this.#bytes = larger;
      } else if (this.#end === 0 && this.#bytes.length > FIRST_BUFFER_BYTES && count <= FIRST_BUFFER_BYTES) {
        // One large frame, usually a long list, must not cost its memory while the connection lasts.
        this.#bytes = new Uint8Array(FIRST_BUFFER_BYTES);
      }
      const got = await this.#read(this.#bytes.subarray(this.#end));
      if (got === null) return false;
      this.#end += got;
    }
    return true;
  }
}
