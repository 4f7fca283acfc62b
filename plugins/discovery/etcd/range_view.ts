import type { KeyEvent, KeyValue, RangeAnswer } from "./messages.ts";

/** What is known about all keys with a prefix, as of one revision. Pure. */
export class RangeView {
  #keyValues: Map<string, KeyValue>;
  #revision: number;

  constructor({ keyValues, header }: RangeAnswer) {
    this.#keyValues = new Map(keyValues.map((each) => [each.key, each]));
    this.#revision = header.revision;
  }

  /** The keys, in base64, with their values. */
  get keyValues(): ReadonlyMap<string, KeyValue> {
    return this.#keyValues;
  }

  /** All changes up to this one are in it. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Applies the events of a watch; returns whether any was new. Events that are in it already are skipped.
   */
  apply(events: readonly KeyEvent[]): boolean {
    const known = this.#revision;
    for (const event of events) {
      const modRevision = event.type === "put" ? event.keyValue.modRevision : event.modRevision;
      if (modRevision <= known) continue;
      if (event.type === "put") this.#keyValues.set(event.keyValue.key, event.keyValue);
      else this.#keyValues.delete(event.key);
      this.#revision = Math.max(this.#revision, modRevision);
    }
    return this.#revision > known;
  }

  /**
   * Compares it with a later read of the keys: `same`, `changed`, or `unrelated` if the read does not descend
   * from what was known, as for a store that was restored or reset.
   */
  compare({ keyValues, header }: RangeAnswer): "same" | "changed" | "unrelated" {
    let isSame = keyValues.length === this.#keyValues.size;
    for (const { key, modRevision } of keyValues) {
      if (this.#keyValues.get(key)?.modRevision === modRevision) continue;
      if (modRevision <= this.#revision) return "unrelated";
      isSame = false;
    }
    if (header.revision < this.#revision) return "unrelated";
    return isSame ? "same" : "changed";
  }

  /** Whether it is complete, judging by how many keys there are and which changed since its revision. */
  agrees({ keyValues, count }: Pick<RangeAnswer, "keyValues" | "count">): boolean {
    return count === this.#keyValues.size && keyValues.every(({ modRevision }) => modRevision <= this.#revision);
  }

  /** Notes that nothing has changed up to a revision. */
  advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }
}
