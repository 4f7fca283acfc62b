import type { Clock } from "../kernel/clock.ts";
import { etagOf } from "./answers.ts";
import type { Path } from "./path.ts";
import { Refusal } from "./refusal.ts";
import type { Copy } from "./snapshot.ts";
import type { Store } from "./store.ts";
import { compactText, sameTree, type Tree, treeAt } from "./tree.ts";
import { formatVersion, type parseVersion } from "./version.ts";
import { utf8 } from "../kernel/utf8.ts";

/** A comment goes over a quiet stream so often, so that both sides notice when the other is gone. */
const KEEP_ALIVE_MS = 15_000;
/** A stream whose reader has taken nothing for so many keep-alives is closed. */
const MISSED_MAX = 4;

/** What {@linkcode Watching} works with. */
export interface WatchingOptions {
  readonly clock: Clock;
  /** So many requests may wait at the same time. */
  readonly watchersMax: number;
}

/** Requests that wait for a change. Disposing of it ends them all. */
export class Watching implements Disposable {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #watchersMax: number;
  readonly #endings: Set<() => void> = new Set();

  constructor(store: Store, { clock, watchersMax }: WatchingOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#watchersMax = watchersMax;
  }

  /** How many wait. */
  get count(): number {
    return this.#endings.size;
  }

  /** Whether one more may wait. */
  refuseTooMany(): Refusal | undefined {
    if (this.#endings.size < this.#watchersMax) return undefined;
    return new Refusal("Service Unavailable", `Cannot wait for a change as ${this.#watchersMax} requests do already`);
  }

  /**
   * Resolves with the first version in which the value at a path is not what
   * it was in the version `since`; at once if that is not remembered.
   * `undefined` when the time is over or the request was given up.
   */
  next(path: Path, since: NonNullable<ReturnType<typeof parseVersion>>, { timeoutMs, signal }: {
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
    return promise.finally(() => {
      cancel();
      unwatch();
      signal.removeEventListener("abort", giveUp);
      this.#endings.delete(giveUp);
    });
  }

  /**
   * Answers a stream of events: the value at a path now, unless the reader
   * has it from the version `since`, and again after each change. A reader
   * that is slow skips versions, never the newest one.
   */
  stream(path: Path, since: ReturnType<typeof parseVersion>): Response {
    const known = since === undefined ? undefined : this.#store.remembered(since);
    let sent: { readonly value: Tree | undefined } | undefined = known && { value: treeAt(known.data, path) };
    let newest = this.#store.copy;
    let missed = 0;
    let end = () => {};
    let gone = () => {};
    const flush = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      const value = treeAt(newest.data, path);
      if (sent !== undefined && sameTree(sent.value, value)) return;
      if ((controller.desiredSize ?? 0) <= 0) return;
      sent = { value };
      const id = formatVersion(newest.version);
      const event = value === undefined ? "event: absent\ndata:" : `event: value\ndata: ${compactText(value)}`;
      controller.enqueue(utf8(`id: ${id}\n${event}\n\n`));
    };
    const body = new ReadableStream<Uint8Array>({
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
        gone = () => {
          isOpen = false;
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
    return new Response(body, {
      headers: [["content-type", "text/event-stream"], ["cache-control", "no-store"], ["etag", etagOf(newest.version)]],
    });
  }

  [Symbol.dispose](): void {
    for (const end of [...this.#endings]) end();
  }
}
