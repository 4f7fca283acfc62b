import { assert } from "../kernel/assert.ts";

/** Maximum size of one write. */
const OUTBOX_BYTES = 64 * 1024;
/** Number of buffers kept for reuse. Most writes complete at once, so a few serve all connections. */
const SPARE_MAX = 64;
const spare: Uint8Array<ArrayBuffer>[] = [];
const encoder = new TextEncoder();

/**
 * Answers that are sent with one write: a write costs more than an answer. It holds a buffer only
 * while it is not empty.
 */
export class Outbox {
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;

  /** Whether it is empty. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Whether this many more bytes fit. */
  fits(bytes: number): boolean {
    return this.#length + bytes <= OUTBOX_BYTES;
  }

  /** Adds bytes, or ASCII text, which must fit. */
  add(piece: string | Uint8Array): void {
    assert(this.fits(piece.length), "the data fits into the outbox");
    const buffer = this.#buffer ??= spare.pop() ?? new Uint8Array(OUTBOX_BYTES);
    if (typeof piece === "string") encoder.encodeInto(piece, buffer.subarray(this.#length));
    else buffer.set(piece, this.#length);
    this.#length += piece.length;
  }

  /** Sends the contents. A buffer whose write fails is not reused. */
  async flush(write: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>): Promise<void> {
    const [buffer, length] = [this.#buffer, this.#length];
    if (buffer === undefined) return;
    [this.#buffer, this.#length] = [undefined, 0];
    await write(buffer.subarray(0, length));
    if (spare.length < SPARE_MAX) spare.push(buffer);
  }
}
