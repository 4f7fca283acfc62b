import { WEIGHT_MAX } from "../../../src/model/node.ts";
import type { Member } from "./served.ts";
import { withoutComment } from "./words.ts";

/** Starts the comment that says why a server gets its share. */
const COMMENT = "# lighthouse:";

/**
 * Adds a member's share to its server line, so that HAProxy sends nothing where nothing should go, whoever
 * starts it: `weight 0` keeps persistent sessions, as a drain does, and `disabled` is maintenance. The
 * comment says why, and is read back. The line of a member without a share stays as it is.
 */
export function serverShare(
  line: string,
  { weight: now, settledWeight = now, own, state, isSpare, from }: Member,
): string {
  // What this host decides is not the node's own key: read back, it would last for ever.
  const said = [
    ...own.weight === undefined ? [] : [`weight=${own.weight}`],
    ...settledWeight === undefined || settledWeight === own.weight ? [] : [`share=${settledWeight}`],
    ...state === "drain" && own.state !== "drain" ? ["drained"] : state === "ready" ? [] : [`state=${state}`],
    ...isSpare ? ["pool=overflow"] : [],
    ...from === undefined ? [] : [`from=${from}`],
  ];
  if (said.length === 0) return line;
  const starting = state === "drain" || isSpare ? 0 : settledWeight;
  const options = [
    ...starting === undefined ? [] : [`weight ${starting}`],
    ...state === "maint" ? ["disabled"] : [],
  ];
  return [withoutComment(line), ...options, COMMENT, ...said].join(" ");
}

/** Reads back from a server's line its node's own keys: its weight, and whether it is to be drained. */
export function readShare(line: string): { readonly weight?: number; readonly state?: "drain" } {
  const at = line.lastIndexOf(COMMENT);
  const said = at === -1 ? "" : line.slice(at + COMMENT.length);
  const weight = Number(/ weight=([0-9]{1,3})(?: |$)/.exec(said)?.[1] ?? NaN);
  return {
    ...weight <= WEIGHT_MAX && { weight },
    ...(/ state=drain(?: |$)/).test(said) && { state: "drain" },
  };
}

/**
 * Whether a server's line is of a node that is not a member of its cluster, but of another that serves the
 * rest.
 */
export function isFromOther(line: string): boolean {
  const at = line.lastIndexOf(COMMENT);
  return at !== -1 && / from=/.test(line.slice(at + COMMENT.length));
}
