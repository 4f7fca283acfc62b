/**
 * Ruby in a file that is imported: synapse runs its config through ERB, which
 * an import cannot. Pure.
 *
 * @module
 */

/** One tag, and where it begins. */
export interface ErbTag {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** Whether the line is read without it: a comment, or code on lines of its own. */
  readonly isLeftOut: boolean;
}

/** What stands for an expression in a value: no file has it by itself. */
export const ERB_MARK = "\u{FFFD}erb\u{FFFD}";

/** Answers the text without code, with a mark for each expression, at the same lines and columns as far as code goes. */
export function withoutErb(text: string): { readonly text: string; readonly tags: readonly ErbTag[] } {
  const tags: ErbTag[] = [];
  const plain = text.replaceAll(/<%(=?)[^]*?%>/g, (tag, expression: string, at: number) => {
    const before = text.slice(0, at);
    const isLeftOut = expression === "";
    tags.push({ line: before.split("\n").length, column: at - before.lastIndexOf("\n"), isLeftOut });
    return isLeftOut ? tag.replaceAll(/[^\n]/g, " ") : ERB_MARK;
  });
  return { text: plain, tags };
}
