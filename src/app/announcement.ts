import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { abortable } from "../kernel/within.ts";
import type { HostSettings } from "../config/desired.ts";
import type { HostFacts } from "../plugin/contract.ts";
import type { Identity } from "./host_facts.ts";

export interface AnnouncementOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Finds out what this machine is called, given what `host.yaml` says; must not throw. */
  readonly identify: (said: HostSettings) => Promise<Identity>;
  /** Whether nodes are announced under the name: a writer only needs one among its peers. */
  readonly announces: boolean;
  /** Hears of another name or address, found later than the config. */
  readonly onChange: () => void;
}

/** The waits before a name that is not good enough is looked up again. */
const ASK_BACKOFF = { firstMs: 1_000, maxMs: 300_000 };

/**
 * What this machine is announced as. An answer that DNS may improve is asked for again, at the latest every five
 * minutes, until there is a fully qualified name; a worse answer never replaces a better one of the same config.
 */
export class Announcement implements Disposable {
  readonly #options: AnnouncementOptions;
  readonly #closing = new AbortController();
  #said: HostSettings = {};
  #identity: Identity | undefined;
  #refusal: string | undefined;
  #attempt = 0;
  #cancel = () => {};

  constructor(options: AnnouncementOptions) {
    this.#options = options;
  }

  /** This machine, for what is not announced by its name; `undefined` before the first answer. */
  get facts(): HostFacts | undefined {
    return this.#identity?.facts;
  }

  /** What nodes are announced under; `undefined` while there is nothing fit to announce. */
  get announced(): HostFacts | undefined {
    return this.#identity?.refusal === undefined ? this.#identity?.facts : undefined;
  }

  /** Why the newest answer is not announced; `undefined` if it is. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Determines the identity again, by what `host.yaml` says now. */
  async learn(said: HostSettings, signal: AbortSignal): Promise<void> {
    this.#said = said;
    this.#attempt = 0;
    this.#take(await abortable(this.#options.identify(said), signal), { isAsked: true });
  }

  /** Asks again at once, as an operator wants it. */
  askAgain(): void {
    if (this.#identity !== undefined) void this.#ask();
  }

  /** Asks no more. */
  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#cancel();
  }

  async #ask(): Promise<void> {
    this.#cancel();
    const { identify, onChange } = this.#options;
    const said = this.#said;
    const identity = await abortable(identify(said), this.#closing.signal).catch(() => undefined);
    // Another config has been asked about meanwhile, or nobody wants to know any more.
    if (identity === undefined || said !== this.#said) return;
    const before = JSON.stringify(this.#identity);
    this.#take(identity, { isAsked: false });
    if (JSON.stringify(this.#identity) !== before) onChange();
  }

  /** Takes an answer; one that comes `isAsked` for by a new config counts even if it is worse. */
  #take(identity: Identity, { isAsked }: { readonly isAsked: boolean }): void {
    const { clock, random } = this.#options;
    const before = this.#identity;
    const isWorse = before !== undefined && identity.isProvisional &&
      (identity.refusal !== undefined ? before.refusal === undefined : !isAsked && !before.isProvisional);
    if (!isWorse) this.#identity = identity;
    this.#tell(before, identity);
    this.#refusal = isWorse && !isAsked ? this.#refusal : identity.refusal;
    this.#cancel();
    if (!identity.isProvisional) return;
    this.#cancel = clock.after(backoffMs(this.#attempt++, ASK_BACKOFF, random), () => void this.#ask());
  }

  #tell(before: Identity | undefined, { facts, refusal, isProvisional }: Identity): void {
    const { log, announces } = this.#options;
    if (announces && refusal !== undefined) {
      if (refusal === this.#refusal) return;
      return log.error("Host not announced", { event: "host.refused", reason: refusal });
    }
    if (this.#identity?.facts !== facts || JSON.stringify(before?.facts) === JSON.stringify(facts)) return;
    const { fqdn, ip, peerPort } = facts;
    const at = { host: fqdn, ip, ...peerPort !== undefined && { peerPort } };
    log.info(announces ? "Announcing host" : "Host identified", { event: "host.identity", ...at });
    if (isProvisional) {
      log.warn("No fully qualified host name found; using short name and retrying", {
        event: "host.provisional",
        ...at,
      });
    }
  }
}
