import { Buffer } from "node:buffer";
import { assert } from "../kernel/assert.ts";
import type { ByteStream } from "../system/byte_stream.ts";

/** Initial size of a read: thousands of connections may be idle at the same time. */
const CHUNK_BYTES = 2_048;
/** Size of a read of a body. */
const PIECE_BYTES_MAX = 64 * 1024;
const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/**
 * Buffered bytes of a stream. At most one read is in progress, whoever waits for it. The buffer is
 * private: returned bytes are copies, or were read into a buffer of the caller.
 */
export class ByteSource {
  readonly #stream: Pick<ByteStream, "read">;
  #buffer = NOTHING;
  /** Start and end of the unread bytes in the buffer. */
  #start = 0;
  #end = 0;
  #reading: Promise<boolean> | undefined;

  constructor(stream: Pick<ByteStream, "read">) {
    this.#stream = stream;
  }

  /** Number of buffered bytes. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Returns one of these bytes. */
  at(index: number): number | undefined {
    return index < this.length ? this.#buffer[this.#start + index] : undefined;
  }

  /** Returns the position of a byte value, at `from` or later; -1 if there is none. */
  indexOf(byte: number, from: number): number {
    // Searches no further than what has arrived: the rest of the buffer would be searched again with each byte.
    const at = this.#buffer.subarray(this.#start + from, this.#end).indexOf(byte);
    return at < 0 ? -1 : at + from;
  }

  /** Takes bytes, and returns them as a string of one character each. */
  takeText(count: number): string {
    const at = this.#start;
    this.skip(count);
    return Buffer.prototype.latin1Slice.call(this.#buffer, at, at + count);
  }

  /** Drops bytes. */
  skip(count: number): void {
    assert(count <= this.length, "at most the buffered bytes are consumed");
    this.#start += count;
    if (this.#start === this.#end) [this.#start, this.#end] = [0, 0];
  }

  /** Takes up to `count` buffered bytes, or else of the next read; `undefined` at the end. */
  async take(bytesMax: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.length > 0) {
      const piece = this.#buffer.slice(this.#start, Math.min(this.#end, this.#start + bytesMax));
      this.skip(piece.length);
      return piece;
    }
    assert(this.#reading === undefined, "at most one read is in progress");
    const piece = new Uint8Array(Math.min(bytesMax, PIECE_BYTES_MAX));
    const count = await this.#stream.read(piece);
    return count === null || count === 0 ? undefined : piece.subarray(0, count);
  }

  /** Reads more; `false` at the end. */
  fill(): Promise<boolean> {
    return this.#reading ??= this.#read();
  }

  async #read(): Promise<boolean> {
    try {
      this.#makeRoom();
      const count = await this.#stream.read(this.#buffer.subarray(this.#end));
      if (count === null) return false;
      this.#end += count;
      return count > 0;
    } finally {
      this.#reading = undefined;
    }
  }

  #makeRoom(): void {
    if (this.length === 0 && this.#buffer.length !== CHUNK_BYTES) this.#buffer = new Uint8Array(CHUNK_BYTES);
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      [this.#start, this.#end] = [0, this.length];
    }
    if (this.#end < this.#buffer.length) return;
    const larger = new Uint8Array(2 * this.#buffer.length);
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}

const [CARRIAGE_RETURN, LINE_FEED] = [0x0d, 0x0a];

/** Finds lines as bytes arrive; scans each byte once. */
export class LineFinder {
  readonly #source: ByteSource;
  #looked = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /**
   * Returns the end of the next line: the index of its line feed, `undefined` if it has not arrived,
   * `"malformed"` without a preceding carriage return.
   */
  next(): number | "malformed" | undefined {
    const at = this.#source.indexOf(LINE_FEED, this.#looked);
    if (at < 0) {
      this.#looked = this.#source.length;
      return undefined;
    }
    if (at === 0 || this.#source.at(at - 1) !== CARRIAGE_RETURN) return "malformed";
    this.#looked = at + 1;
    return at;
  }

  /** Starts again at the first unread byte. */
  restart(): void {
    this.#looked = 0;
  }
}
