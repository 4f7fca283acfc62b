import type { Notice, Origin } from "../../../mod.ts";
import { assert } from "../../../src/kernel/assert.ts";
import { quote } from "../../../src/model/node.ts";
import { isOneLine } from "../lines_schema.ts";
import type { HaproxyConfig } from "./config.ts";
import { accepts, reachesBeyond, type Section } from "./directives.ts";
import { words } from "./words.ts";

/** One line of a section, and what in the config gave it. */
export interface Line {
  /** The line, without what it is indented by. */
  readonly text: string;
  /** Absent if it is the balancer's own. */
  readonly origin?: Origin | undefined;
}

/** Tells what an operator should know, and what in the config it is about. */
export type Tell = (text: string, origin?: Origin) => void;

/** Collects notices, each once, sorted. */
export class Notices {
  readonly #found = new Map<string, Notice>();

  /** Adds one. */
  readonly tell: Tell = (text, origin) => {
    this.#found.set(text, origin === undefined ? { text } : { text, origin });
  };

  /** All that were told. */
  get sorted(): readonly Notice[] {
    return [...this.#found.values()].toSorted((a, b) => a.text < b.text ? -1 : 1);
  }
}

/** What decides which lines of a config get into the file. */
export interface Passing {
  /** Which lines are passed on at all. */
  readonly directives: HaproxyConfig["directives"];
  /** What HAProxy refuses. */
  readonly leftOut: readonly Origin[];
  /** Hears of each line that fares otherwise than its author may think. */
  readonly tell: Tell;
}

/** Whether something of the config is to be left out: it, or what it is part of. */
export function isLeftOut({ cluster, path }: Origin, leftOut: readonly Origin[]): boolean {
  return leftOut.some((out) =>
    out.cluster === cluster && out.path.length <= path.length && out.path.every((key, index) => key === path[index])
  );
}

/** The lines of a list in the config that get into a section, which is called `where`. */
export function passLines(
  section: Section,
  { where, texts, origin }: { readonly where: string; readonly texts: readonly string[]; readonly origin: Origin },
  { directives, leftOut, tell }: Passing,
): readonly Line[] {
  return texts.flatMap((text, index): Line[] => {
    assert(isOneLine(text), `a line of ${where} is one line`);
    const at = { ...origin, path: [...origin.path, index] };
    // Nothing is said by them, so nothing is lost without them.
    if (words(text).length === 0 || isLeftOut(at, leftOut)) return [];
    if (reachesBeyond(text)) {
      tell(`${where}: the line ${quote(text)} is left out as it would reach beyond its section`, at);
      return [];
    }
    if (!accepts(section, text)) {
      if (directives === "predecessor") {
        const why = "as only directives of HAProxy 1.5 are passed on: directives is predecessor";
        tell(`${where}: the line ${quote(text)} is left out ${why}`, at);
        return [];
      }
      if (directives === undefined) {
        // HAProxy takes what is a frontend's, and ignores it.
        const isIdle = section === "backend" && accepts("frontend", text);
        const what = isIdle
          ? "does nothing, as HAProxy heeds it in frontends alone"
          : "takes effect, which 1.0 left out";
        const remedy = "directives: predecessor leaves it out as before, directives: all ends this notice";
        tell(`${where}: the line ${quote(text)} ${what}: ${remedy}`, at);
      }
    }
    return [{ text, origin: at }];
  });
}
