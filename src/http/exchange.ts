import type { HttpRequest } from "./request.ts";
import type { RequestHead } from "./request_head.ts";

/** One request while it is answered. Rarely used parts are created on demand. */
export class Exchange implements HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: HttpRequest["headers"];
  body: HttpRequest["body"] = null;
  /** Whether the client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean;
  #gone: AbortController | undefined;
  #isGone = false;

  constructor({ method, url, headers, expectsContinue }: RequestHead) {
    [this.method, this.url, this.expectsContinue] = [method, url, expectsContinue];
    this.headers = { get: (name) => headers.get(name.toLowerCase())?.join(", ") ?? null };
  }

  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      if (this.#isGone) this.#gone.abort();
    }
    return this.#gone.signal;
  }

  /** Whether the client is gone. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Signals to the handler that its client is gone. */
  giveUp(): void {
    this.#isGone = true;
    this.#gone?.abort();
  }
}
