import { assert } from "../kernel/assert.ts";

/** So much goes out in one write. */
const OUTBOX_BYTES = 64 * 1024;
/** So many buffers are kept for the next use. Most writes end at once, so that a few serve all connections. */
const SPARE_MAX = 64;
const spare: Uint8Array<ArrayBuffer>[] = [];
const encoder = new TextEncoder();

/**
 * Answers that go out in one write: a write costs more than an answer. It
 * holds a buffer only while there is something in it.
 */
export class Outbox {
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;

  /** Whether there is nothing to write. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Whether so many bytes more find room. */
  fits(bytes: number): boolean {
    return this.#length + bytes <= OUTBOX_BYTES;
  }

  /** Adds bytes, or ASCII text. There must be room. */
  add(piece: string | Uint8Array): void {
    assert(this.fits(piece.length), "there is room for the piece");
    const buffer = this.#buffer ??= spare.pop() ?? new Uint8Array(OUTBOX_BYTES);
    if (typeof piece === "string") encoder.encodeInto(piece, buffer.subarray(this.#length));
    else buffer.set(piece, this.#length);
    this.#length += piece.length;
  }

  /** Writes what there is. A buffer whose write fails is not used again. */
  async flush(write: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>): Promise<void> {
    const [buffer, length] = [this.#buffer, this.#length];
    if (buffer === undefined) return;
    [this.#buffer, this.#length] = [undefined, 0];
    await write(buffer.subarray(0, length));
    if (spare.length < SPARE_MAX) spare.push(buffer);
  }
}
