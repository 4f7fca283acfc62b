/**
 * Words that the product's texts do not use: literal translations and words of
 * its own where HAProxy, ZooKeeper or Prometheus have a standard term. The lint
 * plugin (`lint_plugin.ts`) checks string literals and comments, and
 * `tidy_test.ts` checks the documents.
 *
 * Words with an ordinary meaning besides (`text`, `leaving`, `release`,
 * `granted`, `last known`) are left to the reviewer.
 *
 * @module
 */

/** A phrase to avoid, and what to write instead. */
interface Term {
  readonly pattern: RegExp;
  readonly instead: string;
}

const TERMS: readonly Term[] = [
  { pattern: /\b(?:is|are|was|were|be|been|being) told\b|\btells\b/, instead: "is logged, reports, distinguishes" },
  { pattern: /\b(?:puts?|keeps?|kept) (?:\w+ )?right\b/, instead: "reconciled, kept in sync" },
  { pattern: /\bas (?:it is|they are) wanted\b|\bwanted state\b|\bwish(?:es|ed)?\b/, instead: "desired state" },
  { pattern: /\bin force\b|\binto force\b/, instead: "active, applied" },
  { pattern: /\bout of reach\b|\bcannot be had\b/, instead: "unreachable, unavailable" },
  { pattern: /\bh(?:eld|olds?|olding) back\b/, instead: "held" },
  { pattern: /\bbeliev(?:e|es|ed|ing)\b/, instead: "accepted, confirmed, trusted" },
  { pattern: /\bof before\b|\bthe ones? before\b/, instead: "previous" },
  { pattern: /\bt(?:ake|akes|ook|aken|aking) (?:\w+ )?back\b/, instead: "deregister, remove, revert" },
  { pattern: /\bat leisure\b/, instead: "in the background" },
  { pattern: /\bthread does not stop\b/, instead: "stuck worker thread" },
  { pattern: /\bstrays?\b/, instead: "orphan processes" },
  { pattern: /\bolder processes\b/, instead: "old workers" },
  { pattern: /\bcarr(?:y|ies|ied) over\b/, instead: "replay server state" },
  { pattern: /\blos(?:t|es?) sight of\b/, instead: "watch failed" },
  { pattern: /\bh(?:eld|olds?) (?:\w+ )?against\b/, instead: "check against" },
  { pattern: /\bforesee/, instead: "dry run" },
  { pattern: /\bt(?:ake|akes|ook|aken|aking) effect\b/, instead: "applied" },
  { pattern: /\brefus(?:e|es|ed|ing)\b/, instead: "reject (input), deny (permission)" },
  { pattern: /\bmend(?:s|ed|ing)?\b/, instead: "fix" },
  { pattern: /\bblanks?\b/, instead: "space" },
  { pattern: /\bcircles?\b/, instead: "cycle" },
  { pattern: /\bpredecessors?\b/, instead: "1.0" },
  { pattern: /\banew\b/, instead: "again" },
  { pattern: /\bhad better\b/, instead: "should" },
];

/** Phrases that contain such a word in its standard meaning: an errno, a value of a key, the id of an event. DNS has `REFUSED`. */
const STANDARD =
  /connections? (?:is |was |are |were )?refused|refuse[ds]? (?:the |a |its )?connections?|directives: predecessor|\bhost\.refused\b/g;

/**
 * What is not finished: files, and folders that end in a slash. The list only
 * shrinks: whoever finishes an entry removes it, and a new file never joins.
 */
export const UNFINISHED: readonly string[] = [];

/** The tests of this table, which quote its words. */
const QUOTES = "tests/tidy_test.ts";

/** Whether the words of a file are checked. */
export function isVoiceChecked(path: string): boolean {
  return path !== QUOTES && !UNFINISHED.some((entry) => entry.endsWith("/") ? path.startsWith(entry) : path === entry);
}

/** Returns what to change in a text: each phrase to avoid, with what to write instead. */
export function voiceFaults(text: string): readonly string[] {
  const rest = text.replaceAll(/\bREFUSED\b/g, "").toLowerCase().replaceAll(/\s+/g, " ").replaceAll(STANDARD, "");
  return TERMS.flatMap(({ pattern, instead }) => {
    const found = pattern.exec(rest)?.[0];
    return found === undefined ? [] : [`"${found}": write ${instead}`];
  });
}

/** Returns the prose of a document: without code, link targets and the names of tests that it refers to. */
export function proseOf(markdown: string): string {
  return markdown
    .replaceAll(/^(`{3,})[^]*?^\1/gm, "")
    .replaceAll(/`[^`\n]*`/g, "")
    .replaceAll(/\[[^\]\n]*\]\[[\w-]+\]/g, "")
    .replaceAll(/\[[\w.-]+\.(?:txt|ts)\]\([^)\n]*\)/g, "")
    .replaceAll(/\]\([^)\n]*\)/g, "]")
    .replaceAll(/^\[[\w-]+\]: \S+$/gm, "");
}
