/**
 * Hears of errors that nobody caught, which Deno would end the process for on
 * the spot, with everything left registered; once it is disposed of, they are
 * Deno's again.
 */
export class LastResort implements Disposable {
  readonly #heard: (event: PromiseRejectionEvent | ErrorEvent) => void;

  /** `onBroken` is called for each, and should bring the process to an orderly end. */
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
