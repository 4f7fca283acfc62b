import { readBody } from "./body.ts";
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
  readonly scheme: "http" | "https";
  /** The token that is shown to them. */
  readonly token: string | undefined;
  /** Whom to believe, and with which certificate. */
  readonly tls: Deno.TlsCertifiedKeyPem & { readonly caCerts: string[] } | undefined;
  readonly limits: Limits;
}

/** What an instance says of itself, element by element. */
export interface Told {
  readonly address: string;
  /** The leases that were renewed there since it said so last, and how many milliseconds ago. */
  readonly renewed?: Readonly<Record<string, number>>;
}

/** Speaks to other instances. Everything throws when they do not answer as they should, in time. */
export class PeerClient implements Disposable {
  readonly #options: PeerClientOptions;
  readonly #client: Deno.HttpClient;

  constructor(options: PeerClientOptions) {
    this.#options = options;
    this.#client = Deno.createHttpClient(options.tls ?? {});
  }

  /** Tells it of the cluster. */
  async putState(address: string, told: readonly Told[], signal: AbortSignal): Promise<void> {
    await this.#ask(address, "/state", { body: JSON.stringify(told), bytesMax: 10_000, ms: DEADLINE_MS.state, signal });
  }

  /** Asks for its version and whom it knows. */
  async getState(address: string, signal: AbortSignal): Promise<{ version: Version; cluster: readonly string[] }> {
    const text = await this.#ask(address, "/state", { bytesMax: STATE_BYTES_MAX, ms: DEADLINE_MS.state, signal });
    const state = JSON.parse(text) as { readonly version?: unknown; readonly cluster?: unknown } | null;
    const version = readVersion(state?.version);
    if (version === undefined) throw new Error(`Cannot use the state of ${address} as it has no version`);
    return { version, cluster: addressesOf(state?.cluster) };
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
    this.#client.close();
  }

  async #ask(address: string, path: string, { body, bytesMax, ms, signal }: {
    readonly body?: string;
    readonly bytesMax: number;
    readonly ms: number;
    readonly signal: AbortSignal;
  }): Promise<string> {
    const { scheme, token } = this.#options;
    const response = await fetch(`${scheme}://${address}${path}`, {
      client: this.#client,
      method: body === undefined ? "GET" : "PUT",
      body: body ?? null,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      redirect: "error",
      signal: AbortSignal.any([signal, AbortSignal.timeout(ms)]),
    });
    const text = await readBody(response, bytesMax);
    if (text instanceof Refusal) throw new Error(text.message);
    if (!response.ok) throw new Error(`${address} answered ${response.status} to ${path}`);
    return text;
  }
}
