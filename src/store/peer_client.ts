import { HttpClient } from "../http/client.ts";
import { parseStoreAddress } from "./store_address.ts";
import { COPY_ENVELOPE_BYTES, formatCopy, parseCopy } from "./copy_text.ts";
import type { Limits } from "./limits.ts";
import { Refusal } from "./refusal.ts";
import { addressesOf, type Copy } from "./snapshot.ts";
import { readVersion, type Version } from "./version.ts";

/** Timeouts for small answers and for copies. */
const DEADLINE_MS = { state: 3_000, copy: 60_000 } as const;
const STATE_BYTES_MAX = 4 * 1024 * 1024;

/** Connection settings for peers. */
export interface PeerClientOptions {
  /** The token sent to them. */
  readonly token: string | undefined;
  /** Own certificate, and trusted authorities (PEM; default: the system's). Without this, no TLS. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string | undefined } | undefined;
  readonly limits: Limits;
}

/** A peer's answer to a poll. */
export interface PeerState {
  readonly version: Version;
  readonly cluster: readonly string[];
  /** Its own address, as it knows it. */
  readonly me: string | undefined;
  /** Identifies its run; an instance of store 0.1 has none. */
  readonly id: string | undefined;
}

/** The state that an instance reports. */
export interface Told {
  readonly address: string;
  /** Leases renewed there since its last report, and how many milliseconds ago. */
  readonly renewed?: Readonly<Record<string, number>>;
}

/** Client for peers. Every method throws on a wrong or late answer. */
export class PeerClient implements Disposable {
  #options: PeerClientOptions;
  #http: HttpClient;

  constructor(options: PeerClientOptions) {
    this.#options = options;
    this.#http = new HttpClient({ tls: options.tls });
  }

  /** Replaces the connection settings. */
  reload(options: PeerClientOptions): void {
    this.#http[Symbol.dispose]();
    this.#options = options;
    this.#http = new HttpClient({ tls: options.tls });
  }

  /** Sends the cluster's addresses. */
  async putState(address: string, told: readonly Told[], signal: AbortSignal): Promise<void> {
    await this.#ask(address, "/state", { body: JSON.stringify(told), bytesMax: 10_000, ms: DEADLINE_MS.state, signal });
  }

  /** Polls a peer: its version, its peers, its own address and the id of its run. */
  async getState(address: string, signal: AbortSignal): Promise<PeerState> {
    const text = await this.#ask(address, "/state", { bytesMax: STATE_BYTES_MAX, ms: DEADLINE_MS.state, signal });
    const state = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
    const version = readVersion(state?.version);
    if (version === undefined) throw new Error(`Cannot use the state of ${address}: the version is missing`);
    const { Me: me, id } = state ?? {};
    return {
      version,
      cluster: addressesOf(state?.cluster),
      me: typeof me === "string" ? me : undefined,
      id: typeof id === "string" ? id : undefined,
    };
  }

  /** Fetches the whole document. */
  async getCopy(address: string, signal: AbortSignal): Promise<Copy> {
    const { limits } = this.#options;
    const bytesMax = limits.documentBytesMax + COPY_ENVELOPE_BYTES;
    const copy = parseCopy(await this.#ask(address, "/copy", { bytesMax, ms: DEADLINE_MS.copy, signal }), limits);
    if (copy instanceof Refusal) throw new Error(copy.message);
    return copy;
  }

  /** Pushes our document. */
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
    if (at === undefined) throw new Error(`Cannot use peer address ${address}: must be HOST:PORT`);
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
