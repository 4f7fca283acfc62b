/**
 * Handles uncaught errors, for which Deno would exit at once and leave every
 * node registered. After disposal, Deno handles them again.
 */
export class LastResort implements Disposable {
  readonly #heard: (event: PromiseRejectionEvent | ErrorEvent) => void;

  /** `onBroken` is called for each error and should shut the process down. */
  constructor(onBroken: (reason: string) => void) {
    this.#heard = (event) => {
      event.preventDefault();
      const error: unknown = "reason" in event ? event.reason : event.error;
      onBroken(error instanceof Error ? (error.stack ?? error.message) : String(error));
    };
    globalThis.addEventListener("unhandledrejection", this.#heard);
    globalThis.addEventListener("error", this.#heard);
  }

  [Symbol.dispose](): void {
    globalThis.removeEventListener("unhandledrejection", this.#heard);
    globalThis.removeEventListener("error", this.#heard);
  }
}
