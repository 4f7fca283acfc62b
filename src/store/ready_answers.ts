import type { ValueAnswer } from "./answers.ts";

/** Memory that an answer takes besides its bytes and its URL. */
const ENTRY_BYTES = 512;

/**
 * Cached answers by URL, up to a number of bytes: clients choose the URLs, and a thousand of them can
 * lead to one large value.
 */
export class ReadyAnswers {
  readonly #bytesMax: number;
  readonly #answers: Map<string, ValueAnswer> = new Map();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Returns the cached answer for a URL. */
  find(url: string): ValueAnswer | undefined {
    return this.#answers.get(url);
  }

  /** Caches an answer if there is room. */
  keep(url: string, answer: ValueAnswer): void {
    const bytes = answer.body.length + url.length + ENTRY_BYTES;
    if (this.#answers.has(url) || this.#bytes + bytes > this.#bytesMax) return;
    this.#bytes += bytes;
    this.#answers.set(url, answer);
  }

  clear(): void {
    this.#answers.clear();
    this.#bytes = 0;
  }
}
