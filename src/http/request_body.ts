import type { ByteSource } from "./byte_stream.ts";
import { type Framing, HttpFault, latin1, LineFinder } from "./request_head.ts";

/** So much of a body is read at a time. */
const CHUNK_BYTES = 64 * 1024;
/** The line with the size of a chunk is no longer, nor are all trailers. */
const LINES_BYTES_MAX = 8 * 1024;

/** The body of one request, read only when somebody wants it. */
export class RequestBody {
  readonly #source: ByteSource;
  readonly #framing: Framing;
  /** Bytes of the body, or of the chunk at hand, that are still to come. */
  #left: number;
  #isFirstChunk = true;
  #isOver: boolean;

  constructor(source: ByteSource, framing: Framing) {
    [this.#source, this.#framing] = [source, framing];
    this.#left = framing.by === "length" ? framing.bytes : 0;
    this.#isOver = framing.by === "nothing";
  }

  /** Whether all of it was read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Reads the next piece; `undefined` after the last. Throws if it ends early or is malformed. */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#framing.by === "chunks" && this.#left === 0 && !this.#isOver) await this.#nextChunk();
    if (this.#isOver) return undefined;
    if (this.#source.bytes.length === 0) await this.#more();
    const piece = this.#source.take(Math.min(this.#left, this.#source.bytes.length));
    this.#left -= piece.length;
    if (this.#left === 0 && this.#framing.by === "length") this.#isOver = true;
    return piece;
  }

  async #nextChunk(): Promise<void> {
    if (!this.#isFirstChunk && await this.#line() !== "") throw new HttpFault(400, "a chunk is longer than it says");
    this.#isFirstChunk = false;
    const [, size] = /^([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e]*)?$/.exec(await this.#line()) ?? [];
    if (size === undefined) throw new HttpFault(400, "the size of a chunk is malformed");
    this.#left = parseInt(size, 16);
    if (this.#left > 0) return;
    // Trailers say nothing that is heard here.
    for (let bytes = 0;;) {
      const trailer = await this.#line();
      if (trailer === "") break;
      bytes += trailer.length;
      if (bytes > LINES_BYTES_MAX || !/^[^\s:]+:/.test(trailer)) throw new HttpFault(400, "a trailer is malformed");
    }
    this.#isOver = true;
  }

  async #line(): Promise<string> {
    const lines = new LineFinder();
    for (;;) {
      const at = lines.next(this.#source.bytes);
      if (at !== undefined) return latin1(this.#source.take(at + 1).subarray(0, at - 1));
      if (this.#source.bytes.length > LINES_BYTES_MAX) throw new HttpFault(400, "a line of a chunk is too long");
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    if (!await this.#source.fill(CHUNK_BYTES)) throw new HttpFault(400, "the body ended early");
  }
}
