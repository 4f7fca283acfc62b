import type { Clock } from "../kernel/clock.ts";
import type { BindAddress } from "../model/bind_address.ts";
import { JsonError, parseJson } from "../store/json_text.ts";
import { LIMITS } from "../store/limits.ts";
import { formatPath, isWithin, type Path } from "../store/path.ts";
import { compactText, EMPTY_BRANCH, prettyText, type Tree, treeAt, withValue } from "../store/tree.ts";
import { changesBetween, withoutPaths } from "../store/tree_changes.ts";
import { EXIT } from "./exit_codes.ts";
import { StoreClient, StoreError, type StoreTransaction } from "./store_client.ts";
import { apply, type Desk, edit, show } from "./store_edit.ts";

/** The arguments of `lighthouse store get|put|…`. */
export interface StoreCommand {
  readonly action: "get" | "put" | "delete" | "edit" | "watch" | "export" | "import";
  readonly at: BindAddress;
  readonly tokenFile?: string | undefined;
  readonly ca?: string | undefined;
  readonly waitMs?: number;
  /** The path in the document, as in a URL. */
  readonly path: Path;
  /** The value, as JSON; `-` or none is read from the standard input. */
  readonly value?: string | undefined;
  /** The file to import; `-` is the standard input. */
  readonly file?: string | undefined;
  readonly raw?: boolean;
  readonly parents?: boolean;
  readonly yes?: boolean;
}

export interface StoreCommandOptions extends Desk {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Resolves a path relative to where the command was typed. */
  readonly fromHere: (path: string) => string;
  readonly readStdin: () => Promise<string>;
  /** Writes a string to standard output unchanged. */
  readonly write: (text: string) => void;
}

/** Runs one of the commands for a store; returns the exit code. */
export async function runStoreCommand(given: StoreCommand, options: StoreCommandOptions): Promise<number> {
  const { fromHere, clock, signal, complain } = options;
  const read = (file: string | undefined) => file === undefined ? undefined : Deno.readTextFile(fromHere(file));
  try {
    using client = new StoreClient({
      at: given.at,
      token: (await read(given.tokenFile))?.trim(),
      ca: await read(given.ca),
      waitMs: given.waitMs ?? 0,
      clock,
      signal,
    });
    return await perform(given, client, options);
  } catch (error) {
    // Stopped by a signal.
    if (signal.aborted) return EXIT.ok;
    const isExpected = error instanceof StoreError || error instanceof JsonError ||
      error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied;
    if (!isExpected) throw error;
    complain(error.message);
    return EXIT.failed;
  }
}

async function perform(given: StoreCommand, client: StoreClient, options: StoreCommandOptions): Promise<number> {
  const { path, raw = false } = given;
  const { write, complain } = options;
  switch (given.action) {
    case "get": {
      const value = await client.read(path);
      if (value === undefined) return missing(path, complain);
      write(`${raw ? rawText(value) : prettyText(value)}\n`);
      return EXIT.ok;
    }
    case "watch":
      for await (const value of client.watch(path)) {
        if (value === undefined) missing(path, complain);
        else write(`${raw ? rawText(value) : compactText(value)}\n`);
      }
      return EXIT.ok;
    case "put": {
      const text = given.value === undefined || given.value === "-" ? await options.readStdin() : given.value;
      const value = raw ? text : parse(text);
      await client.transact(async (transaction) => {
        if (given.parents) await makeParents(path, transaction);
        await transaction.write(path, value);
      });
      return EXIT.ok;
    }
    case "delete": {
      if (await client.read(path) === undefined) return missing(path, complain);
      await client.transact((transaction) => transaction.write(path, undefined));
      return EXIT.ok;
    }
    case "edit":
      return await editThere(path, client, options);
    case "export": {
      const value = await client.read(path);
      if (value === undefined) return missing(path, complain);
      // Leased values end with their leases and do not belong into a backup.
      write(`${prettyText(withoutPaths(value, await leasedWithin(path, client)))}\n`);
      return EXIT.ok;
    }
    case "import":
      return await importThere(given, client, options);
  }
}

async function editThere(path: Path, client: StoreClient, options: StoreCommandOptions): Promise<number> {
  const { complain } = options;
  const value = await client.read(path);
  if (value === undefined) return missing(path, complain);
  const edited = await edit(path, value, options);
  if ("given" in edited) {
    complain(edited.given === "up" ? edited.reason : "Nothing changed");
    return edited.given === "up" ? EXIT.failed : EXIT.ok;
  }
  const { changes, file } = edited;
  try {
    await client.transact((transaction) => apply(changes, path, transaction));
  } catch (error) {
    complain(`Your edit is in ${file}`);
    throw error;
  }
  await Deno.remove(file);
  return EXIT.ok;
}

async function importThere(given: StoreCommand, client: StoreClient, options: StoreCommandOptions): Promise<number> {
  const { path, file = "-", yes = false } = given;
  const { complain, ask, fromHere, readStdin } = options;
  const value = parse(file === "-" ? await readStdin() : await Deno.readTextFile(fromHere(file)));
  const current = await client.read(path);
  // Leased values stay, whatever the file contains.
  const merged = current === undefined
    ? value
    : (await leasedWithin(path, client)).reduce((tree, each) => keep(current, tree, each), value);
  const changes = changesBetween(current, merged, path);
  show(changes, complain);
  if (changes.length === 0) {
    complain("Nothing changed");
    return EXIT.ok;
  }
  if (!yes && file !== "-" && ask("Commit these changes?", "yn") === "n") {
    complain("Nothing changed");
    return EXIT.failed;
  }
  await client.transact(async (transaction) => {
    if (current === undefined) await makeParents(path, transaction);
    await apply(changes, path, transaction);
  });
  return EXIT.ok;
}

/** The leased keys within a path, relative to it. */
async function leasedWithin(path: Path, client: StoreClient): Promise<readonly Path[]> {
  const leased = (await client.leasedPaths()).filter((each) => each.length > path.length && isWithin(each, path));
  return leased.map((each) => each.slice(path.length));
}

/** Answers a tree with what another has at a path. */
function keep(from: Tree, tree: Tree, path: Path): Tree {
  const value = treeAt(from, path);
  return value === undefined ? tree : withValue(tree, path, value, true) ?? tree;
}

async function makeParents(path: Path, transaction: StoreTransaction): Promise<void> {
  for (let length = 1; length < path.length; length++) {
    const outer = path.slice(0, length);
    if (await transaction.read(outer) === undefined) await transaction.write(outer, EMPTY_BRANCH);
  }
}

function missing(path: Path, complain: StoreCommandOptions["complain"]): number {
  complain(`No value at ${formatPath(path)}`);
  return EXIT.failed;
}

/** A string without quotes, anything else as JSON on one line. */
function rawText(value: Tree): string {
  return typeof value === "string" ? value : compactText(value);
}

function parse(text: string): Tree {
  try {
    return parseJson(text, { depthMax: LIMITS.depthMax });
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new StoreError(`${error.message} (store a plain string with --raw)`);
  }
}
