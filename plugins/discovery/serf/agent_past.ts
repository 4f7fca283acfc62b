import type { Member } from "./members.ts";

/** What {@linkcode AgentPast} is made with. */
export interface AgentPastOptions {
  /** How long an agent may take to know all members after its start. */
  readonly joinMs: number;
  /** Makes an epoch that never existed before. */
  readonly newEpoch: () => string;
}

/** What is known about an agent's history. */
export interface Past {
  readonly epoch: string;
  /** How long healthy members may still be missing. */
  readonly leaseMs: number;
}

/**
 * Whether an agent continues from what it knew, or was restarted and knows only the members met since. An
 * agent lists members that fail or leave for a day, so one that no longer lists a member which was alive was
 * restarted; so was one that lost tags of its own. Pure but for `newEpoch`.
 */
export class AgentPast {
  readonly #options: AgentPastOptions;
  #epoch: string | undefined;
  /** The members that were alive, and the agent's own tags. */
  #known: { readonly names: readonly string[]; readonly ownTags: readonly string[] } = { names: [], ownTags: [] };
  /** Since when something of that is missing. */
  #brokenAt: number | undefined;

  constructor(options: AgentPastOptions) {
    this.#options = options;
  }

  /** Judges what an agent lists, whose own member has this name; `isFirst`: after a connect. */
  judge(
    members: readonly Member[],
    { own, isFirst, now }: { readonly own: string; readonly isFirst: boolean; readonly now: number },
  ): Past {
    const { joinMs, newEpoch } = this.#options;
    const isWhole = this.#hasAll(members, own);
    const isUnknown = !isWhole || this.#brokenAt !== undefined;
    if (this.#epoch === undefined || isFirst && isUnknown) [this.#epoch, this.#brokenAt] = [newEpoch(), now];
    const isBroken = this.#brokenAt !== undefined && now < this.#brokenAt + joinMs &&
      !(isWhole && this.#known.names.length > 0);
    if (!isBroken) {
      this.#brokenAt = undefined;
      const alive = members.filter(({ status }) => status === "alive" || status === "leaving");
      const ownTags = members.find(({ name }) => name === own)?.tags.keys() ?? [];
      this.#known = { names: alive.map(({ name }) => name), ownTags: [...ownTags] };
    }
    return { epoch: this.#epoch, leaseMs: isBroken ? joinMs : 0 };
  }

  #hasAll(members: readonly Member[], own: string): boolean {
    const listed = new Map(members.map((member) => [member.name, member]));
    const { names, ownTags } = this.#known;
    return names.every((name) => listed.has(name)) && ownTags.every((tag) => listed.get(own)?.tags.has(tag));
  }
}
