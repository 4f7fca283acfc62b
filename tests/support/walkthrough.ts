import assert from "node:assert/strict";

/** A block of commands in a document, and their documented output. */
export interface Step {
  /** The line of the document on which the block begins. */
  readonly line: number;
  /** The commands, a line each. */
  readonly script: string;
  /** Their output, if the document shows it. */
  readonly expected?: string | undefined;
}

/** Reads the blocks `sh` of a document, each with the block `text` directly after it. */
export function readWalkthrough(markdown: string): readonly Step[] {
  const steps: Step[] = [];
  for (const match of markdown.matchAll(/^```sh\n([^]*?)\n```\n(?:\n```text\n([^]*?)\n```\n)?/gm)) {
    const line = markdown.slice(0, match.index).split("\n").length;
    steps.push({ line, script: match[1] ?? "", expected: match[2] });
  }
  return steps;
}

/**
 * Compares the output with the documented one. Placeholders match what varies:
 * `<n>` any number, `<token>` any word, and `<pid of NAME>` and `<files of NAME>`
 * the same number or path each time.
 */
export class Transcript {
  readonly #known = new Map<string, string>();

  /** Throws unless they match. */
  compare(actual: string, expected: string): void {
    const names: string[] = [];
    const pattern = expected.split(/(<(?:n|token|(?:pid|files) of [a-z0-9]+)>)/).map((part, i) => {
      if (i % 2 === 0) return RegExp.escape(part);
      if (part === "<n>") return "\\d+";
      if (part === "<token>") return "[\\w-]+";
      const known = this.#known.get(part);
      if (known !== undefined) return RegExp.escape(known);
      names.push(part);
      return part.startsWith("<pid") ? "(\\d+)" : "(\\S+)";
    }).join("");
    const match = new RegExp(`^${pattern}$`).exec(actual.trimEnd());
    // If they differ, both complete texts help.
    if (match === null) assert.equal(actual.trimEnd(), expected, this.#told());
    names.forEach((name, i) => this.#known.set(name, match?.[i + 1] ?? ""));
  }

  #told(): string {
    return [...this.#known].map(([name, value]) => `${name} is ${value}`).join(", ");
  }
}
