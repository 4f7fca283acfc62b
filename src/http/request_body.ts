import { type ByteSource, LineFinder } from "./byte_source.ts";
import { type Framing, HttpFault } from "./request_head.ts";

/** Maximum length of a chunk's size line, and of all trailers. */
const LINES_BYTES_MAX = 8 * 1024;

/** The body of one request, read on demand. */
export class RequestBody {
  readonly #source: ByteSource;
  readonly #framing: Framing;
  /** Remaining bytes of the body, or of the current chunk. */
  #left: number;
  #isFirstChunk = true;
  #isOver: boolean;

  constructor(source: ByteSource, framing: Framing) {
    [this.#source, this.#framing] = [source, framing];
    this.#left = framing.by === "length" ? framing.bytes : 0;
    this.#isOver = framing.by === "nothing";
  }

  /** Whether it was read completely. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Reads the next piece; `undefined` after the last. Throws if it is truncated or malformed. */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#framing.by === "chunks" && this.#left === 0 && !this.#isOver) await this.#nextChunk();
    if (this.#isOver) return undefined;
    const piece = await this.#source.take(this.#left);
    if (piece === undefined) throw new HttpFault(400, ENDED_EARLY);
    this.#left -= piece.length;
    if (this.#left === 0 && this.#framing.by === "length") this.#isOver = true;
    return piece;
  }

  async #nextChunk(): Promise<void> {
    if (!this.#isFirstChunk && await this.#line() !== "") throw new HttpFault(400, "a chunk exceeds its declared size");
    this.#isFirstChunk = false;
    const [, size] = /^([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e]*)?$/.exec(await this.#line()) ?? [];
    if (size === undefined) throw new HttpFault(400, "a chunk size is malformed");
    this.#left = parseInt(size, 16);
    if (this.#left > 0) return;
    // Trailers are ignored.
    for (let bytes = 0;;) {
      const trailer = await this.#line();
      if (trailer === "") break;
      bytes += trailer.length;
      if (bytes > LINES_BYTES_MAX || !/^[^\s:]+:/.test(trailer)) throw new HttpFault(400, "a trailer is malformed");
    }
    this.#isOver = true;
  }

  async #line(): Promise<string> {
    const lines = new LineFinder(this.#source);
    for (;;) {
      const at = lines.next();
      if (at === "malformed") throw new HttpFault(400, "a chunk line does not end in CR LF");
      if (at !== undefined) return this.#source.takeText(at + 1).slice(0, -2);
      if (this.#source.length > LINES_BYTES_MAX) throw new HttpFault(400, "a chunk line is too long");
      if (!await this.#source.fill()) throw new HttpFault(400, ENDED_EARLY);
    }
  }
}

const ENDED_EARLY = "the body ended prematurely";
