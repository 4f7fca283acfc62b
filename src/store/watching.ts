import type { Clock } from "../kernel/clock.ts";
import type { HttpAnswer } from "../http/request.ts";
import { etagOf } from "./answers.ts";
import type { Path } from "./path.ts";
import { Refusal } from "./refusal.ts";
import type { Copy } from "./snapshot.ts";
import type { Store } from "./store.ts";
import { compactText, sameTree, type Tree, treeAt } from "./tree.ts";
import { formatVersion, type parseVersion } from "./version.ts";
import { utf8 } from "../kernel/utf8.ts";

/** Interval of keep-alive comments on a quiet stream, so that both sides notice a lost connection. */
const KEEP_ALIVE_MS = 15_000;
/** A stream whose reader takes nothing for this many keep-alives is closed. */
const MISSED_MAX = 4;

export interface WatchingOptions {
  readonly clock: Clock;
  /** Maximum number of waiting requests. */
  readonly watchersMax: number;
  /** Of these, the maximum with the same token. */
  readonly watchersOfTokenMax: number;
}

/** Requests that wait for a change. Disposing of it ends them all. */
export class Watching implements Disposable {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #watchersMax: number;
  readonly #watchersOfTokenMax: number;
  /** Number of waiting requests by token. */
  readonly #ofToken: Map<string, number> = new Map();
  readonly #endings: Set<() => void> = new Set();

  constructor(store: Store, { clock, watchersMax, watchersOfTokenMax }: WatchingOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#watchersMax = watchersMax;
    this.#watchersOfTokenMax = watchersOfTokenMax;
  }

  get count(): number {
    return this.#endings.size;
  }

  /** Whether one more may wait, with a token or without tokens. */
  refuseTooMany(holder: string | undefined): Refusal | undefined {
    if (holder !== undefined && (this.#ofToken.get(holder) ?? 0) >= this.#watchersOfTokenMax) {
      return new Refusal(
        "Service Unavailable",
        `Cannot wait for a change: ${this.#watchersOfTokenMax} requests with this token are already waiting`,
      );
    }
    if (this.#endings.size < this.#watchersMax) return undefined;
    return new Refusal(
      "Service Unavailable",
      `Cannot wait for a change: ${this.#watchersMax} requests are already waiting`,
    );
  }

  /**
   * Resolves with the first version in which the value at a path differs from the version `since`; at
   * once if that is not remembered. `undefined` on timeout or when the request was aborted.
   */
  next(path: Path, since: NonNullable<ReturnType<typeof parseVersion>>, { timeoutMs, signal, holder }: {
    readonly holder: string | undefined;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<Copy | undefined> {
    const known = this.#store.remembered(since);
    const current = this.#store.copy;
    const seen = known === undefined ? undefined : treeAt(known.data, path);
    if (known === undefined || !sameTree(seen, treeAt(current.data, path))) return Promise.resolve(current);
    const { promise, resolve } = Promise.withResolvers<Copy | undefined>();
    const giveUp = () => resolve(undefined);
    const cancel = this.#clock.after(timeoutMs, giveUp);
    const unwatch = this.#store.watch((copy) => {
      if (!sameTree(seen, treeAt(copy.data, path))) resolve(copy);
    });
    signal.addEventListener("abort", giveUp, { once: true });
    this.#endings.add(giveUp);
    const leave = this.#enter(holder);
    return promise.finally(() => {
      leave();
      cancel();
      unwatch();
      signal.removeEventListener("abort", giveUp);
      this.#endings.delete(giveUp);
    });
  }

  /**
   * Returns a stream of events: the value at a path now, unless the reader has it from the version
   * `since`, and again after each change. A slow reader skips versions, never the newest.
   */
  stream(path: Path, since: ReturnType<typeof parseVersion>, holder: string | undefined): HttpAnswer {
    const known = since === undefined ? undefined : this.#store.remembered(since);
    let sent: { readonly value: Tree | undefined } | undefined = known && { value: treeAt(known.data, path) };
    let newest = this.#store.copy;
    let missed = 0;
    let end = () => {};
    let gone = () => {};
    const flush = (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
      const value = treeAt(newest.data, path);
      if (sent !== undefined && sameTree(sent.value, value)) return;
      if ((controller.desiredSize ?? 0) <= 0) return;
      sent = { value };
      const id = formatVersion(newest.version);
      const event = value === undefined ? "event: absent\ndata:" : `event: value\ndata: ${compactText(value)}`;
      controller.enqueue(utf8(`id: ${id}\n${event}\n\n`));
    };
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => {
        const unwatch = this.#store.watch((copy) => {
          newest = copy;
          flush(controller);
        });
        let cancel = () => {};
        const keepAlive = () => {
          if ((controller.desiredSize ?? 0) > 0) {
            missed = 0;
            controller.enqueue(utf8(": still here\n\n"));
          } else if (++missed >= MISSED_MAX) return end();
          cancel = this.#clock.after(KEEP_ALIVE_MS, keepAlive);
        };
        cancel = this.#clock.after(KEEP_ALIVE_MS, keepAlive);
        let isOpen = true;
        const leave = this.#enter(holder);
        gone = () => {
          if (!isOpen) return;
          isOpen = false;
          leave();
          unwatch();
          cancel();
          this.#endings.delete(end);
        };
        end = () => {
          if (!isOpen) return;
          gone();
          controller.close();
        };
        this.#endings.add(end);
      },
      pull: flush,
      cancel: () => gone(),
    });
    return {
      status: 200,
      headers: [["content-type", "text/event-stream"], ["cache-control", "no-store"], ["etag", etagOf(newest.version)]],
      body,
    };
  }

  /** Counts one more request of a token; the returned function uncounts it. */
  #enter(holder: string | undefined): () => void {
    if (holder === undefined) return () => {};
    const count = (by: number) => {
      const left = (this.#ofToken.get(holder) ?? 0) + by;
      if (left > 0) this.#ofToken.set(holder, left);
      else this.#ofToken.delete(holder);
    };
    count(1);
    return () => count(-1);
  }

  [Symbol.dispose](): void {
    for (const end of [...this.#endings]) end();
  }
}
