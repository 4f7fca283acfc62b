import type { Notice, Origin } from "../../../mod.ts";
import { assert } from "../../../src/kernel/assert.ts";
import { quote } from "../../../src/model/node.ts";
import { isOneLine } from "../lines_schema.ts";
import type { HaproxyConfig } from "./config.ts";
import { accepts, reachesBeyond, type Section } from "./directives.ts";
import { words } from "./words.ts";

/** One line of a section, and its origin in the config. */
export interface Line {
  /** The line, without indentation. */
  readonly text: string;
  /** Absent if it is the balancer's own. */
  readonly origin?: Origin | undefined;
}

/** Receives a notice for the operator, and the place in the config that it is about. */
export type Tell = (text: string, origin?: Origin) => void;

/** Collects notices, each once, sorted. */
export class Notices {
  readonly #found = new Map<string, Notice>();

  /** Adds a notice. */
  readonly tell: Tell = (text, origin) => {
    this.#found.set(text, origin === undefined ? { text } : { text, origin });
  };

  /** All notices. */
  get sorted(): readonly Notice[] {
    return [...this.#found.values()].toSorted((a, b) => a.text < b.text ? -1 : 1);
  }
}

/** Decides which lines of a config get into the file. */
export interface Passing {
  /** Which lines are passed on at all. */
  readonly directives: HaproxyConfig["directives"];
  /** What HAProxy rejects. */
  readonly leftOut: readonly Origin[];
  /** Receives a notice for each line that is not passed on as its author may expect. */
  readonly tell: Tell;
}

/** Whether a part of the config is to be left out: it, or what it is part of. */
export function isLeftOut({ cluster, path }: Origin, leftOut: readonly Origin[]): boolean {
  return leftOut.some((out) =>
    out.cluster === cluster && out.path.length <= path.length && out.path.every((key, index) => key === path[index])
  );
}

/** The lines of a list in the config that get into a section, which is named `where`. */
export function passLines(
  section: Section,
  { where, texts, origin }: { readonly where: string; readonly texts: readonly string[]; readonly origin: Origin },
  { directives, leftOut, tell }: Passing,
): readonly Line[] {
  return texts.flatMap((text, index): Line[] => {
    assert(isOneLine(text), `a line of ${where} contains no line break`);
    const at = { ...origin, path: [...origin.path, index] };
    // Empty lines and comments say nothing, so nothing is lost without them.
    if (words(text).length === 0 || isLeftOut(at, leftOut)) return [];
    if (reachesBeyond(text)) {
      tell(`${where}: line ${quote(text)} is skipped: it would start a section or a condition`, at);
      return [];
    }
    if (!accepts(section, text)) {
      if (directives === "predecessor") {
        const why = "because directives: predecessor passes only HAProxy 1.5 directives";
        tell(`${where}: line ${quote(text)} is skipped, ${why}`, at);
        return [];
      }
      if (directives === undefined) {
        // HAProxy accepts a frontend's directive elsewhere, and ignores it.
        const isIdle = section === "backend" && accepts("frontend", text);
        const what = isIdle
          ? "has no effect, because HAProxy uses it only in frontends"
          : "is passed to HAProxy; 1.0 skipped it";
        const remedy = "to skip it, set directives: predecessor; to disable this notice, set directives: all";
        tell(`${where}: line ${quote(text)} ${what}; ${remedy}`, at);
      }
    }
    return [{ text, origin: at }];
  });
}
