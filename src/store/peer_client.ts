import { HttpClient } from "../http/client.ts";
import { parseStoreAddress } from "./store_address.ts";
import { COPY_ENVELOPE_BYTES, formatCopy, parseCopy } from "./copy_text.ts";
import type { Limits } from "./limits.ts";
import { Refusal } from "./refusal.ts";
import { addressesOf, type Copy } from "./snapshot.ts";
import { readVersion, type Version } from "./version.ts";

/** Another instance has so long for a small answer, and so long for a copy. */
const DEADLINE_MS = { state: 3_000, copy: 60_000 } as const;
const STATE_BYTES_MAX = 4 * 1024 * 1024;

/** How other instances are reached. */
export interface PeerClientOptions {
  /** The token that is shown to them. */
  readonly token: string | undefined;
  /** With which certificate, and whose to believe (PEM); the system's authorities if none is given. No TLS without it. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string | undefined } | undefined;
  readonly limits: Limits;
}

/** What another instance says when it is asked. */
export interface PeerState {
  readonly version: Version;
  readonly cluster: readonly string[];
  /** Its address, as it knows it. */
  readonly me: string | undefined;
  /** Names its run; an instance of the original has none. */
  readonly id: string | undefined;
}

/** What an instance says of itself, element by element. */
export interface Told {
  readonly address: string;
  /** The leases that were renewed there since it said so last, and how many milliseconds ago. */
  readonly renewed?: Readonly<Record<string, number>>;
}

/** Speaks to other instances. Everything throws when they do not answer as they should, in time. */
export class PeerClient implements Disposable {
  #options: PeerClientOptions;
  #http: HttpClient;

  constructor(options: PeerClientOptions) {
    this.#options = options;
    this.#http = new HttpClient({ tls: options.tls });
  }

  /** Speaks otherwise from now on. */
  reload(options: PeerClientOptions): void {
    this.#http[Symbol.dispose]();
    this.#options = options;
    this.#http = new HttpClient({ tls: options.tls });
  }

  /** Tells it of the cluster. */
  async putState(address: string, told: readonly Told[], signal: AbortSignal): Promise<void> {
    await this.#ask(address, "/state", { body: JSON.stringify(told), bytesMax: 10_000, ms: DEADLINE_MS.state, signal });
  }

  /** Asks for its version, whom it knows, and who it is: how it is known to others, and the name of its run. */
  async getState(address: string, signal: AbortSignal): Promise<PeerState> {
    const text = await this.#ask(address, "/state", { bytesMax: STATE_BYTES_MAX, ms: DEADLINE_MS.state, signal });
    const state = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
    const version = readVersion(state?.version);
    if (version === undefined) throw new Error(`Cannot use the state of ${address} as it has no version`);
    const { Me: me, id } = state ?? {};
    return {
      version,
      cluster: addressesOf(state?.cluster),
      me: typeof me === "string" ? me : undefined,
      id: typeof id === "string" ? id : undefined,
    };
  }

  /** Asks for its whole document. */
  async getCopy(address: string, signal: AbortSignal): Promise<Copy> {
    const { limits } = this.#options;
    const bytesMax = limits.documentBytesMax + COPY_ENVELOPE_BYTES;
    const copy = parseCopy(await this.#ask(address, "/copy", { bytesMax, ms: DEADLINE_MS.copy, signal }), limits);
    if (copy instanceof Refusal) throw new Error(copy.message);
    return copy;
  }

  /** Gives it ours. */
  async putCopy(address: string, copy: Copy, signal: AbortSignal): Promise<void> {
    await this.#ask(address, "/copy", { body: formatCopy(copy), bytesMax: 10_000, ms: DEADLINE_MS.copy, signal });
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  async #ask(address: string, path: string, { body, bytesMax, ms, signal }: {
    readonly body?: string;
    readonly bytesMax: number;
    readonly ms: number;
    readonly signal: AbortSignal;
  }): Promise<string> {
    const { token } = this.#options;
    const at = parseStoreAddress(address);
    if (at === undefined) throw new Error(`Cannot ask ${address} as it must be HOST:PORT`);
    const answer = await this.#http.ask(at, {
      method: body === undefined ? "GET" : "PUT",
      path,
      body,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      bytesMax,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ms)]),
    });
    if (answer.status >= 300) throw new Error(`${address} answered ${answer.status} to ${path}`);
    return answer.text;
  }
}
