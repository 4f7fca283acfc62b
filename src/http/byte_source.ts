import { Buffer } from "node:buffer";
import { assert } from "../kernel/assert.ts";
import type { ByteStream } from "../system/byte_stream.ts";

/** So much is read at a time unless more must be kept: thousands of connections are quiet at the same time. */
const CHUNK_BYTES = 2_048;
/** So much of a body is read at a time. */
const PIECE_BYTES_MAX = 64 * 1024;
const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/**
 * What came over a stream and is not used up yet. One read is under way at
 * most, whoever waits for it. The buffer is the source's own: what is given
 * away is a copy, or was read into a buffer for the caller.
 */
export class ByteSource {
  readonly #stream: Pick<ByteStream, "read">;
  #buffer = NOTHING;
  /** Where in the buffer the bytes that are not used up begin and end. */
  #start = 0;
  #end = 0;
  #reading: Promise<boolean> | undefined;

  constructor(stream: Pick<ByteStream, "read">) {
    this.#stream = stream;
  }

  /** How many bytes came and are not used up. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Answers one of these bytes. */
  at(index: number): number | undefined {
    return index < this.length ? this.#buffer[this.#start + index] : undefined;
  }

  /** Answers where among these bytes one is, at `from` or later; -1 if nowhere. */
  indexOf(byte: number, from: number): number {
    const at = this.#buffer.indexOf(byte, this.#start + from);
    return at < 0 || at >= this.#end ? -1 : at - this.#start;
  }

  /** Uses up so many bytes, and answers them as text of one character each. */
  takeText(count: number): string {
    const at = this.#start;
    this.skip(count);
    return Buffer.prototype.latin1Slice.call(this.#buffer, at, at + count);
  }

  /** Uses up so many bytes. */
  skip(count: number): void {
    assert(count <= this.length, "no more is used up than there is");
    this.#start += count;
    if (this.#start === this.#end) [this.#start, this.#end] = [0, 0];
  }

  /** Uses up so many bytes at most, of what there is or else of what comes next; `undefined` at the end. */
  async take(bytesMax: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.length > 0) {
      const piece = this.#buffer.slice(this.#start, Math.min(this.#end, this.#start + bytesMax));
      this.skip(piece.length);
      return piece;
    }
    assert(this.#reading === undefined, "one read is under way at most");
    const piece = new Uint8Array(Math.min(bytesMax, PIECE_BYTES_MAX));
    const count = await this.#stream.read(piece);
    return count === null || count === 0 ? undefined : piece.subarray(0, count);
  }

  /** Reads more behind what there is; `false` at the end. */
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

/** Finds lines as they come; each byte is looked at once. */
export class LineFinder {
  readonly #source: ByteSource;
  #looked = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /**
   * Answers where the next line ends: the index of its line feed, `undefined`
   * if it is not there yet, `"malformed"` if no carriage return is before it.
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

  /** Begins again, at the first byte that is not used up. */
  restart(): void {
    this.#looked = 0;
  }
}
