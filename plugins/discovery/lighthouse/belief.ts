import type { Node } from "../../../mod.ts";
import { nodeName } from "../../../src/model/node.ts";

/** How long what was seen is doubted. */
export interface BeliefOptions {
  /** Before an empty cluster that is seen for the first time is believed. */
  readonly firstMs: number;
  /** Before members are taken for gone that a store without their past does not have: the living register again. */
  readonly lostMs: number;
}

/** What a look at a cluster has shown: its members, or that there is no such cluster. */
export type Look = { readonly nodes: readonly Node[]; readonly follows: boolean } | undefined;

/**
 * Judges what a store says of a cluster. A store that was lost and began anew, a
 * copy that was behind, or a path that somebody removed lack nodes whose
 * reporters are well: those will have registered again soon. Pure.
 */
export class Belief {
  readonly #options: BeliefOptions;
  #members: readonly Node[] | undefined;
  #wasMissing = false;
  #doubtedSinceMs: number | undefined;

  constructor(options: BeliefOptions) {
    this.#options = options;
  }

  /** Whether members were ever believed. */
  get hasMembers(): boolean {
    return this.#members !== undefined;
  }

  /** Whether the look is believed; a missing cluster says nothing. */
  judge(look: Look, nowMs: number): boolean {
    if (look === undefined) {
      this.#wasMissing = true;
      this.#doubtedSinceMs = undefined;
      return false;
    }
    const waitMs = this.#doubtMs(look);
    if (waitMs > 0) {
      this.#doubtedSinceMs ??= nowMs;
      if (nowMs - this.#doubtedSinceMs < waitMs) return false;
    }
    this.#members = look.nodes;
    this.#wasMissing = false;
    this.#doubtedSinceMs = undefined;
    return true;
  }

  /** Takes note that all is as it was when it was believed last. */
  confirm(): void {
    this.#wasMissing = false;
    this.#doubtedSinceMs = undefined;
  }

  #doubtMs({ nodes, follows }: NonNullable<Look>): number {
    if (this.#members === undefined) return nodes.length === 0 ? this.#options.firstMs : 0;
    if (follows && !this.#wasMissing) return 0;
    const names = new Set(nodes.map(nodeName));
    return this.#members.every((member) => names.has(nodeName(member))) ? 0 : this.#options.lostMs;
  }
}
