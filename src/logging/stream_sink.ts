import type { Line, Sink } from "./outlet.ts";

const encoder = new TextEncoder();

/** One of the process's own streams. It is never closed: it is not the log's alone. */
export class StreamSink implements Sink {
  readonly #stream: { write(bytes: Uint8Array): Promise<number> };
  #rest: Uint8Array = new Uint8Array();

  constructor(stream: { write(bytes: Uint8Array): Promise<number> }) {
    this.#stream = stream;
  }

  get unfinished(): boolean {
    return this.#rest.length > 0;
  }

  async write(lines: readonly Line[]): Promise<number> {
    const taken = this.unfinished ? 0 : lines.length;
    if (taken > 0) this.#rest = encoder.encode(lines.map(({ text }) => `${text}\n`).join(""));
    // What a reader has already got must not come a second time.
    while (this.unfinished) this.#rest = this.#rest.subarray(await this.#stream.write(this.#rest));
    return taken;
  }

  interrupt(): void {}

  close(): void {}
}
