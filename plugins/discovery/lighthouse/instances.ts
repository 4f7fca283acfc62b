import type { Endpoint } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { type HttpAnswer, HttpClient } from "../../../src/http/client.ts";

export interface InstancesOptions {
  /** Their addresses, the preferred first. */
  readonly hosts: readonly Endpoint[];
  readonly token?: string | undefined;
  /** The authority (PEM) of their certificates; without it connections use no TLS. */
  readonly ca?: string | undefined;
  /** How long an instance may be silent: it is left when no answer at all has arrived for that long. */
  readonly answerMs: number;
  readonly clock: Clock;
  /** Called with the date of each answer, if it has one. */
  readonly onDate: (date: string | undefined) => void;
  /** Called with each answer, and when none of them answers: why. */
  readonly onReach: (fault: string | undefined) => void;
  /** Called with the new instance and the reason when the instance changes. */
  readonly onMove: (instance: string, reason: string) => void;
}

/** One request to whichever instance answers. */
export interface InstanceRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: string | undefined;
  /** How long the answer may take, besides the time that all answers may take. */
  readonly waitsMs?: number;
  readonly signal: AbortSignal;
}

/** While an instance answers others, a request waits so many times as long for its own answer. */
const PATIENCE = 10;
/** The size limit of an answer: no cluster is that large. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The instances of one store, one of which is used while it answers. All hosts should use the same one, as of
 * two that are changed at the same moment one loses its change: so the first is preferred, and returned to.
 */
export class Instances implements Disposable {
  readonly #options: InstancesOptions;
  readonly #client: HttpClient;
  #at = 0;
  /** Aborted when the current instance is left. */
  #left = new AbortController();
  /** The largest sequence that was seen. */
  #newest = 0;
  /** When each instance last answered anything. */
  readonly #heardAtMs: Map<Endpoint, number> = new Map();

  constructor(options: InstancesOptions) {
    this.#options = options;
    this.#client = new HttpClient({ tls: options.ca === undefined ? undefined : { ca: options.ca } });
  }

  /** The instance in use. */
  get current(): Endpoint {
    return this.#options.hosts[this.#at] ?? "";
  }

  /**
   * Asks the current instance, and if it does not answer, or cannot serve, the others in turn. Throws an
   * error that names each fault if none can.
   */
  async ask(request: InstanceRequest): Promise<HttpAnswer> {
    const { hosts, onDate, onReach } = this.#options;
    const faults: string[] = [];
    for (let tries = 0; tries < hosts.length; tries++) {
      const at = this.#at;
      const left = this.#left.signal;
      const host = hosts[at] ?? "";
      let fault: string;
      try {
        const answer = await this.#askOne(host, request, left);
        if (answer.status < 500) {
          onDate(answer.headers.date);
          onReach(undefined);
          return answer;
        }
        fault = `${host} responded with ${answer.status} ${describeRefusal(answer)}`.trimEnd();
      } catch (error) {
        request.signal.throwIfAborted();
        // The code that left it knows why.
        if (left.aborted) continue;
        fault = `${host}: ${error instanceof Error ? error.message : String(error)}`;
      }
      faults.push(fault);
      if (this.#at === at) this.#goTo((at + 1) % hosts.length, fault);
    }
    const fault = faults.join("; ") || "instance changed during the request";
    if (faults.length > 0) onReach(fault);
    throw new Error(`Cannot reach the store: ${fault}`);
  }

  /** Returns to an instance that is preferred to the current one, if one can serve and is not behind. */
  async prefer(path: string, signal: AbortSignal): Promise<void> {
    const newest = this.#newest;
    for (let at = 0; at < this.#at; at++) {
      const host = this.#options.hosts[at] ?? "";
      const ask = (path: string) => this.#askOne(host, { method: "HEAD", path, signal }, signal).catch(() => undefined);
      const answer = await ask(path);
      if (answer === undefined || answer.status >= 500) continue;
      // A token that may read only a part gets no version of the whole.
      const told = answer.headers.etag === undefined ? await ask("/version") : answer;
      if (told === undefined || sequenceOf(told) < newest || at >= this.#at) continue;
      return this.#goTo(at, "preferred instance is available again");
    }
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  #goTo(at: number, reason: string): void {
    if (at !== this.#at) this.#options.onMove(String(this.#options.hosts[at]), reason);
    this.#at = at;
    this.#left.abort(new Error("Using another instance"));
    this.#left = new AbortController();
  }

  async #askOne(host: Endpoint, request: InstanceRequest, left: AbortSignal): Promise<HttpAnswer> {
    const { method, path, body, waitsMs = 0, signal } = request;
    const { token, answerMs, clock } = this.#options;
    const address = parseEndpoint(host);
    if (address === undefined) throw new TypeError(`Cannot query "${host}": must be host:port`);
    const overdue = new AbortController();
    const startedMs = clock.now();
    let cancel = () => {};
    const waitFor = (ms: number) => {
      cancel = clock.after(ms, () => {
        const nowMs = clock.now();
        const tookMs = nowMs - startedMs;
        // An instance that answers others is busy, not gone: thousands of clusters are read at its pace.
        const moreMs = (this.#heardAtMs.get(host) ?? -Infinity) + answerMs - nowMs;
        if (moreMs > 0 && tookMs < waitsMs + PATIENCE * answerMs) return waitFor(moreMs);
        overdue.abort(new Error(`no response within ${Math.round(tookMs)}ms`));
      });
    };
    waitFor(waitsMs + answerMs);
    try {
      const answer = await this.#client.ask(address, {
        method,
        path,
        body,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        bytesMax: ANSWER_BYTES_MAX,
        signal: AbortSignal.any([signal, left, overdue.signal]),
      });
      this.#heardAtMs.set(host, clock.now());
      this.#newest = Math.max(this.#newest, sequenceOf(answer));
      return answer;
    } finally {
      cancel();
    }
  }
}

/** The message of a rejection; the status text if it has none, as an answer to HEAD. */
export function describeRefusal({ statusText, text }: HttpAnswer): string {
  try {
    const { error, message } = JSON.parse(text) ?? {};
    if (typeof error === "string" && typeof message === "string") return `${error}: ${message}`.slice(0, 300);
  } catch {
    // It is not a store's.
  }
  return statusText.slice(0, 300);
}

function sequenceOf({ headers: { etag } }: HttpAnswer): number {
  return Number(/^"([0-9]{1,15})-/.exec(etag ?? "")?.[1] ?? 0);
}
