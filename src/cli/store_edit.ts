import { JsonError, parseJson } from "../store/json_text.ts";
import { LIMITS } from "../store/limits.ts";
import { formatPath, type Path } from "../store/path.ts";
import { prettyText, sameTree, type Tree, treeAt } from "../store/tree.ts";
import { changesBetween, formatTreeChange, type TreeChange } from "../store/tree_changes.ts";
import { openTrusted, writeAll } from "../system/trusted_file.ts";
import { StoreError, type StoreTransaction } from "./store_client.ts";

/** The editor and the terminal. */
export interface Desk {
  /** Opens a file in the editor; returns its exit code. */
  readonly runEditor: (file: string) => Promise<number>;
  /** Asks on the terminal: returns one of the letters, or `undefined` without a terminal. */
  readonly ask: (question: string, letters: string) => string | undefined;
  readonly complain: (line: string) => void;
}

/** The result of editing. */
export type Edited =
  | { readonly changes: readonly TreeChange[]; readonly file: string }
  | { readonly given: "up"; readonly reason: string }
  | { readonly given: "nothing" };

/** Lets the user edit a value as JSON until it is valid and the changes are confirmed. */
export async function edit(path: Path, value: Tree, { runEditor, ask, complain }: Desk): Promise<Edited> {
  const file = await Deno.makeTempFile({ prefix: "lighthouse-", suffix: ".json" });
  let isKept = false;
  try {
    {
      using opened = await openTrusted(file, { mode: 0o600, create: false });
      await writeAll(opened, new TextEncoder().encode(`${prettyText(value)}\n`));
    }
    for (;;) {
      const code = await runEditor(file);
      if (code !== 0) return { given: "up", reason: `Editor exit status ${code}; nothing changed` };
      let changes: readonly TreeChange[];
      try {
        changes = changesBetween(value, parseJson(await Deno.readTextFile(file), { depthMax: LIMITS.depthMax }), path);
      } catch (error) {
        if (!(error instanceof JsonError)) throw error;
        complain(error.message);
        if (ask("Edit again?", "yn") === "y") continue;
        isKept = true;
        return { given: "up", reason: `Nothing changed; your edit is in ${file}` };
      }
      if (changes.length === 0) return { given: "nothing" };
      show(changes, complain);
      const answer = ask("Commit these changes, or edit again?", "yen");
      if (answer === "e") continue;
      isKept = true;
      if (answer === "n") return { given: "up", reason: `Nothing changed; your edit is in ${file}` };
      return { changes, file };
    }
  } finally {
    if (!isKept) await Deno.remove(file);
  }
}

/** Prints changes before they are made. */
export function show(changes: readonly TreeChange[], complain: Desk["complain"]): void {
  for (const change of changes) complain(formatTreeChange(change));
}

/**
 * Makes the changes, each only where the old value is unchanged. Throws if
 * somebody else changed the same path; changes elsewhere stay.
 */
export async function apply(changes: readonly TreeChange[], at: Path, transaction: StoreTransaction): Promise<void> {
  const current = await transaction.read(at);
  for (const { path, before, after } of changes) {
    const now = current === undefined ? undefined : treeAt(current, path.slice(at.length));
    if (sameTree(now, after)) continue;
    if (!sameTree(now, before)) {
      throw new StoreError(`Conflict: ${formatPath(path)} was changed by another client; nothing written`);
    }
    await transaction.write(path, after);
  }
}
