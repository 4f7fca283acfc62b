import { Composer, isAlias, isCollection, isMap, isPair, isScalar, isSeq, Parser, type ScalarTag, visit } from "yaml";
import type { Alias, Document, Node, Pair, ParsedNode, Scalar, YAMLMap, YAMLParseError } from "yaml";
import { assert } from "../kernel/assert.ts";
import { type Diagnostic, makeExcerpt, type Severity } from "./diagnostics.ts";
import { brokenMasks, lineMasks, namesSecret, redact, secretMasks, type Span } from "./redact.ts";

/** A file larger than this is not read. */
export const SOURCE_BYTES_MAX = 1024 * 1024;

/** Lists and maps inside one another deeper than this are refused. */
const DEPTH_MAX = 64;

/** A file may hold this many values, those behind aliases counted each time they are used. */
const VALUES_MAX = 100_000;

/** A line longer than this is not shown, only its place is told. */
const EXCERPT_SOURCE_MAX = 4_096;

/** No more problems of one file are told than this. */
const PROBLEMS_MAX = 20;

/** Keys and indexes from the root of a file's value. */
export type Path = readonly (string | number)[];

/** A place in a file: both from 1, the column in characters. */
export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters (code points). */
  readonly column: number;
}

/** One thing to tell of a value of the file. */
export interface Finding {
  /** How bad it is. */
  readonly severity: Severity;
  /** Where. */
  readonly path: Path;
  /** What is wrong and what is wanted. */
  readonly message: string;
  /** Whether it is about the key itself or about its value. */
  readonly at: "key" | "value";
}

/**
 * One YAML file: its value, and where each part of it stands. Reads what the
 * predecessor read: the first document only, YAML 1.1's `yes`, `no`, `on`,
 * `off`, octal and sexagesimal numbers, `<<`; but refuses tags, a key given
 * twice, and what would not fit in memory. Never throws: what is wrong is in
 * {@linkcode Source.problems}.
 */
export class Source {
  /** The file, as the user named the directory. */
  readonly file: string;
  /** The value, frozen; `null` for a file without any; `undefined` if there are {@linkcode Source.problems}. */
  readonly value: unknown;
  /** Why the file cannot be used at all; empty if it can. */
  readonly problems: readonly Diagnostic[];
  /** Whether it says nothing at all, not even in a comment: what a file looks like that is about to be written. */
  readonly blank: boolean;

  readonly #bytes: Uint8Array;
  readonly #text: string;
  /** Where each line begins, as UTF-16 offsets. */
  readonly #lineStarts: readonly number[];
  readonly #tree: Tree | undefined;
  readonly #faulty: boolean;

  /** Reads `bytes`, which must be UTF-8, with or without a byte order mark. */
  constructor(file: string, bytes: Uint8Array) {
    this.file = file;
    this.#bytes = bytes;
    const decoded = decode(bytes);
    this.#text = decoded.text;
    this.#lineStarts = lineStartsOf(decoded.text);
    this.blank = decoded.text.trim() === "";
    const fault = decoded.fault ?? findControl(decoded.text);
    const parsed = fault === undefined ? parse(decoded.text) : { faults: [fault] };
    this.#tree = parsed.tree;
    this.#faulty = parsed.faults.length > 0;
    this.problems = Object.freeze(
      parsed.faults.slice(0, PROBLEMS_MAX).map((found) => this.#diagnostic("error", found.message, found.offset)),
    );
    this.value = this.problems.length === 0 ? parsed.tree?.value ?? null : undefined;
    Object.freeze(this);
  }

  /** Whether the file holds exactly these bytes. */
  holds(bytes: Uint8Array): boolean {
    const own = this.#bytes;
    return own.length === bytes.length && own.every((byte, i) => byte === bytes[i]);
  }

  /**
   * Answers where the value at a path stands; for a list or a map in block
   * form, its key. What does not exist is where its nearest parent is.
   */
  locate(path: Path, at: "key" | "value" = "value"): Position {
    return this.#position(this.#tree?.offsetOf(path, at) ?? 0);
  }

  /** Makes a diagnostic of a finding; `under` is the path that the finding's own path starts from. No secret gets into it. */
  diagnose(finding: Finding, { under = [] }: { readonly under?: Path } = {}): Diagnostic {
    const path = [...under, ...finding.path];
    const secret = path.some((part) => typeof part === "string" && namesSecret(part));
    const message = secret ? finding.message.replace(/(current value is ).*/s, "$1*****") : finding.message;
    return this.#diagnostic(finding.severity, message, this.#tree?.offsetOf(path, finding.at) ?? 0);
  }

  #diagnostic(severity: Severity, message: string, offset: number): Diagnostic {
    const { line, column } = this.#position(offset);
    const start = this.#lineStarts[line - 1] ?? 0;
    const text = this.#line(line - 1);
    const excerpt = text.length > EXCERPT_SOURCE_MAX
      ? undefined
      : makeExcerpt(text, this.#inside(offset) - start, this.#masks(line - 1, text));
    return Object.freeze({
      severity,
      file: this.file,
      line,
      column,
      message: redact(message, this.#tree?.secrets),
      ...(excerpt === undefined ? {} : { excerpt }),
    });
  }

  /** What must not be shown of a line. */
  #masks(index: number, text: string): readonly Span[] {
    const tree = this.#tree;
    // What is wrong may be that a secret is not where it was meant to be.
    const byLines = tree === undefined || this.#faulty ? brokenMasks(this.#allLines(), index) : [];
    if (tree === undefined) return byLines;
    const start = this.#lineStarts[index] ?? 0;
    const inTree = tree.masks.map((mask) => ({
      start: mask.start - start,
      end: Math.min(mask.end - start, text.length),
    }))
      .filter((mask) => mask.end > 0 && mask.start < text.length)
      .map((mask) => ({ start: Math.max(mask.start, 0), end: mask.end }));
    const byText = lineMasks(text, (offset) => tree.isSecretKeyAt(start + offset));
    return [...inTree, ...byText, ...byLines, ...secretMasks(text, tree.secrets)];
  }

  #line(index: number): string {
    const end = this.#lineStarts[index + 1] ?? this.#text.length + 1;
    return this.#text.slice(this.#lineStarts[index] ?? 0, end - 1).replace(/\r$/, "");
  }

  #allLines(): readonly string[] {
    return this.#lineStarts.map((_, index) => this.#line(index));
  }

  /** Moves an offset behind the last line that says something to its end. */
  #inside(offset: number): number {
    return Math.max(0, Math.min(offset, this.#text.trimEnd().length));
  }

  #position(offset: number): Position {
    const inside = this.#inside(offset);
    let [low, high] = [0, this.#lineStarts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= inside) low = middle;
      else high = middle - 1;
    }
    const before = this.#text.slice(this.#lineStarts[low] ?? 0, inside);
    return { line: low + 1, column: [...before].length + 1 };
  }
}

/** Something wrong at an offset of the text. */
interface Fault {
  readonly offset: number;
  readonly message: string;
}

function decode(bytes: Uint8Array): { readonly text: string; readonly fault?: Fault } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    let [good, bad] = [0, bytes.length];
    while (bad - good > 1) {
      const middle = (good + bad) >> 1;
      if (isUtf8Start(bytes.subarray(0, middle))) good = middle;
      else bad = middle;
    }
    const offset = new TextDecoder().decode(bytes.subarray(0, good), { stream: true }).length;
    const message = "Cannot read the file as it must be UTF-8: here is a byte that is not";
    return { text: new TextDecoder().decode(bytes), fault: { offset, message } };
  }
}

function isUtf8Start(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

function findControl(text: string): Fault | undefined {
  // deno-lint-ignore no-control-regex
  const found = /[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]|\r(?!\n)/.exec(text);
  if (found === null) return undefined;
  const code = (found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return {
    offset: found.index,
    message: `Cannot read the file as it must be text: here is the control character U+${code}`,
  };
}

function lineStartsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

function parse(text: string): { readonly faults: readonly Fault[]; readonly tree?: Tree } {
  let document: Document.Parsed<ParsedNode, false>;
  try {
    const composer = new Composer<ParsedNode, false>({
      // Nothing but these tags, whatever a %YAML directive says: the rules of the predecessor's parser.
      schema: "failsafe",
      customTags: [...SCALAR_TAGS],
      merge: false,
      resolveKnownTags: false,
      version: "1.1",
      // Keys are compared in Tree, which needs no time in the square of their number.
      uniqueKeys: false,
      logLevel: "silent",
    });
    // Taking the first document leaves the others, if there are any, unread.
    const [first] = composer.compose(new Parser().parse(text), true, text.length);
    assert(first !== undefined, "a text is at least an empty document");
    document = first;
  } catch (error) {
    return {
      faults: [{ offset: 0, message: `${CANNOT_PARSE}: ${error instanceof RangeError ? TOO_DEEP : "it is broken"}` }],
    };
  }
  const broken = document.errors.toSorted((a, b) => a.pos[0] - b.pos[0])[0];
  if (broken !== undefined) {
    return {
      faults: [{ offset: offsetOfError(text, document, broken), message: `${CANNOT_PARSE}: ${wordsFor(broken)}` }],
    };
  }
  const tags = document.warnings.filter((warning) => warning.code === "TAG_RESOLVE_FAILED")
    .map((warning) => ({ offset: warning.pos[0], message: NO_TAGS }));
  const tree = new Tree(text, document);
  return { faults: [...tags, ...tree.faults].toSorted((a, b) => a.offset - b.offset), tree };
}

/** Answers where to look: for what is not closed, where it was opened, not where the file ends. */
function offsetOfError(
  text: string,
  document: Document.Parsed<ParsedNode, false>,
  { code, message, pos }: YAMLParseError,
): number {
  // Where the stack ends says nothing of the file, and is another place each time.
  if (code === "RESOURCE_EXHAUSTION") return 0;
  const unclosed = code === "BAD_INDENT"
    ? /flow/i.test(message)
    : code === "MISSING_CHAR" && /quote|flow/i.test(message);
  let opened: number | undefined;
  if (unclosed) {
    visit(document.contents, {
      Node(_key, node) {
        const opener = /quote/i.test(message)
          ? isScalar(node) && /^QUOTE/.test(node.type ?? "")
          : isCollection(node) && node.flow;
        const [start = 0, , end = 0] = node.range ?? [];
        if (opener === true && start <= pos[0] && pos[0] <= end) opened = start;
      },
    });
  }
  // A line that is not indented as it must be is told at its first letter.
  return opened ??
    pos[0] + (code === "BAD_INDENT" ? /^ */.exec(text.slice(pos[0], pos[0] + 1_000))?.[0].length ?? 0 : 0);
}

const CANNOT_PARSE = "Cannot read the file as YAML";
const TOO_DEEP = "lists and maps are inside one another too deep";
const NO_TAGS =
  "Cannot use a tag as only texts, numbers, yes and no, lists and maps are read: take away what begins with !";

/**
 * Says what is wrong in this house's words. The library's own are only looked
 * at, never shown: some quote the file, and the file may hold a secret there.
 */
function wordsFor(error: YAMLParseError): string {
  const { code, message } = error;
  switch (code) {
    case "TAB_AS_INDENT":
      return "lines are indented with blanks, never with a tab";
    case "RESOURCE_EXHAUSTION":
      return TOO_DEEP;
    case "BAD_DQ_ESCAPE":
      return "in \"...\" a backslash must be followed by one of the known letters; write \\\\ for a backslash, or use '...'";
    case "BAD_SCALAR_START":
      return "a text that begins with this character must be in quotes";
    case "BLOCK_AS_IMPLICIT_KEY":
      return "a second key in the same line; a text with a colon and a blank in it must be in quotes";
    case "MULTILINE_IMPLICIT_KEY":
      return "a key must be on one line, followed by a colon and a blank";
    case "KEY_OVER_1024_CHARS":
      return "a key must be at most 1024 characters";
    case "BLOCK_IN_FLOW":
      return "inside [ ] and { } lists and maps must be written with brackets too";
    case "ALIAS_PROPS":
    case "BAD_ALIAS":
    case "MULTIPLE_ANCHORS":
      return "an anchor (&name) or an alias (*name) is not written as it must be; a text that begins with & or * must be in quotes";
    case "MULTIPLE_TAGS":
    case "BAD_PROP_ORDER":
    case "TAG_RESOLVE_FAILED":
    case "BAD_COLLECTION_TYPE":
      return "a tag that cannot be used here; a text that begins with ! must be in quotes";
    case "BAD_DIRECTIVE":
      return "a line that begins with % is not understood";
    case "BAD_INDENT":
      return /flow/i.test(message)
        ? "a [ or { is not closed, or what is in it is not indented enough"
        : "the indentation does not fit to the lines above";
    case "MISSING_CHAR":
      if (/quote/i.test(message)) return "a text in quotes is not closed";
      if (/map values/.test(message)) return "a key must be followed by a colon and a blank";
      if (/, |flow/.test(message)) {
        return "a comma is missing between the values in brackets, or a bracket is not closed";
      }
      if (/Comments/.test(message)) return "a comment must have a blank before its #";
      if (/^Missing space|- indicator/.test(message)) return "a blank is missing";
      return "something is missing here";
    case "UNEXPECTED_TOKEN":
      if (/Block scalar header/.test(message)) return "after | or > the text must begin on the next line";
      if (/node end/.test(message)) return "the indentation does not fit, or a text that must be in quotes is not";
      return "this cannot stand here; a text that begins with a special character must be in quotes";
    default:
      return "this is not understood";
  }
}

const NUMBERS: readonly (readonly [RegExp, (text: string) => number | bigint])[] = [
  [/^[-+]?0b[0-1_]+$/, (text) => wholeNumber(text, 2)],
  [/^[-+]?0x[0-9a-fA-F_]+$/, (text) => wholeNumber(text, 16)],
  [/^[-+]?0[0-7_]+$/, (text) => wholeNumber(text, 8)],
  [/^[-+]?(?:0|[1-9][0-9_]*)$/, (text) => wholeNumber(text, 10)],
  [/^[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+$/, sexagesimal],
  [/^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*$/, sexagesimal],
  [/^(?:[-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?$/, (text) => Number(text.replaceAll("_", ""))],
  [/^[-+]?\.(?:inf|Inf|INF)$/, (text) => text.startsWith("-") ? -Infinity : Infinity],
  [/^\.(?:nan|NaN|NAN)$/, () => NaN],
];

/**
 * What a text without quotes may mean besides itself: exactly the predecessor's
 * rules (PyYAML 6, resolver.py), so that the metadata of a fleet that changes
 * over stays byte for byte the same: `y` is a text, `010` is 8, `1e3` is a text.
 */
const SCALAR_TAGS: readonly ScalarTag[] = [
  { tag: "tag:yaml.org,2002:null", default: true, test: /^(?:~|null|Null|NULL)?$/, resolve: () => null },
  {
    tag: "tag:yaml.org,2002:bool",
    default: true,
    test: /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/,
    resolve: () => true,
  },
  {
    tag: "tag:yaml.org,2002:bool",
    default: true,
    test: /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/,
    resolve: () => false,
  },
  ...NUMBERS.map(([test, resolve]): ScalarTag => ({
    tag: `tag:yaml.org,2002:${/\\\./.test(test.source) ? "float" : "int"}`,
    default: true,
    test,
    resolve,
  })),
];

function wholeNumber(text: string, radix: number): number | bigint {
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replaceAll("_", "").replace(/^[-+]/, "").replace(
    radix === 2 || radix === 16 ? /^0[bx]/ : /^$/,
    "",
  );
  const value = sign * Number.parseInt(digits, radix);
  // A number that cannot be kept exactly is told apart by its type, and refused by Tree.
  return Number.isSafeInteger(value) || Number.isNaN(value) ? value : 0n;
}

function sexagesimal(text: string): number {
  const parts = text.replaceAll("_", "").replace(/^[-+]/, "").split(":");
  const value = parts.reduce((sum, part) => sum * 60 + Number(part), 0);
  return text.startsWith("-") ? -value : value;
}

/** What an anchor stands for. */
interface Anchored {
  readonly node: Node;
  /** Absent while it is being read: an alias to it then is a circle. */
  read?: { readonly value: unknown; readonly values: number };
}

/** A parsed document as a plain value, with the places of its parts and of its secrets. */
class Tree {
  readonly value: unknown;
  readonly faults: Fault[] = [];
  /** The places of the secrets. */
  readonly masks: Span[] = [];
  /** The secrets themselves, for finding them where they are not expected. */
  readonly secrets: Set<string> = new Set();

  readonly #text: string;
  readonly #root: Node | null;
  readonly #anchors = new Map<string, Anchored>();
  readonly #aliases = new Map<Node, Node>();
  readonly #secretKeys: Span[] = [];
  /** The values that are no keys, until all is read. */
  readonly #scalars: { readonly offset: number; readonly value: unknown }[] = [];
  /** What is masked in a line by its text, by the offset of the line. */
  readonly #lineMasks = new Map<number, readonly Span[]>();
  #values = 0;
  #tooMany = false;

  constructor(text: string, document: Document.Parsed<ParsedNode, false>) {
    this.#text = text;
    this.#root = document.contents;
    this.value = this.#read(this.#root, { depth: 0, secret: false });
    // What a diagnostic masks in the line, it masks in the message. Only now all secret keys are known.
    for (const { offset, value } of this.#scalars) if (this.#isMaskedByText(offset)) this.#noteSecrets(value);
    this.#scalars.length = 0;
  }

  /** Whether a secret's key stands at an offset. */
  isSecretKeyAt(offset: number): boolean {
    return this.#secretKeys.some((span) => span.start <= offset && offset < span.end);
  }

  /** Finds the offset of the value, or of the key, at a path, or of the nearest parent that exists. */
  offsetOf(path: Path, at: "key" | "value"): number {
    let node = this.#root;
    let key: Node | undefined;
    for (const part of path) {
      const next = this.#step(node, part);
      if (next === undefined) return this.#offsetOfNode(key, node, "value");
      [key, node] = [next.key, next.value];
    }
    return this.#offsetOfNode(key, node, at);
  }

  #offsetOfNode(key: Node | undefined, value: Node | null, at: "key" | "value"): number {
    const block = (isMap(value) || isSeq(value)) && value.flow !== true;
    const empty = value === null || (isScalar(value) && value.source === "" && value.type === "PLAIN");
    const node = key !== undefined && (at === "key" || block || empty) ? key : value;
    return node?.range?.[0] ?? key?.range?.[0] ?? 0;
  }

  #step(node: Node | null, part: string | number): { readonly key?: Node; readonly value: Node | null } | undefined {
    const at = node === null ? null : this.#aliases.get(node) ?? node;
    if (isSeq<Node>(at)) {
      const item = at.items[Number(part)];
      return item === undefined ? undefined : { value: item };
    }
    if (!isMap<Node, Node | null>(at)) return undefined;
    const own = at.items.find((pair) =>
      isScalar(pair.key) && !isMergeKey(pair.key) && keyOf(pair.key) === String(part)
    );
    if (own !== undefined) return { key: own.key, value: own.value };
    for (const pair of at.items) {
      if (!isMergeKey(pair.key)) continue;
      const from = pair.value === null ? null : this.#aliases.get(pair.value) ?? pair.value;
      for (const each of isSeq<Node>(from) ? from.items : [from]) {
        const found = this.#step(each, part);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  #fault(node: Node | null, message: string): undefined {
    this.faults.push({ offset: node?.range?.[0] ?? 0, message });
    return undefined;
  }

  #read(node: Node | null, context: { readonly depth: number; readonly secret: boolean }): unknown {
    if (node === null) return null;
    if (++this.#values > VALUES_MAX) {
      if (!this.#tooMany) this.#fault(node, `Cannot use the file as it must hold at most ${VALUES_MAX} values`);
      this.#tooMany = true;
      return undefined;
    }
    if (context.depth > DEPTH_MAX) return this.#fault(node, `${CANNOT_PARSE}: ${TOO_DEEP}`);
    if (isAlias(node)) return this.#readAlias(node, context);
    const anchor = (node as Scalar | YAMLMap).anchor;
    const before = this.#values;
    const anchored: Anchored | undefined = anchor === undefined ? undefined : { node };
    if (anchor !== undefined && anchored !== undefined) this.#anchors.set(anchor, anchored);
    const value = isMap<Node, Node | null>(node)
      ? this.#readMap(node, context)
      : isSeq<Node>(node)
      ? Object.freeze(node.items.map((item) => this.#read(item, { ...context, depth: context.depth + 1 })))
      : isScalar(node)
      ? this.#readScalar(node, context)
      : undefined;
    if (anchored !== undefined) anchored.read = { value, values: this.#values - before };
    return value;
  }

  #readAlias(node: Alias, { secret }: { readonly secret: boolean }): unknown {
    const anchored = this.#anchors.get(node.source);
    if (anchored === undefined) {
      return this.#fault(
        node,
        "Cannot use this alias as no anchor of its name stands above; a text that begins with * must be in quotes",
      );
    }
    if (anchored.read === undefined) {
      return this.#fault(node, "Cannot use this alias as it stands inside of what it stands for");
    }
    this.#aliases.set(node, anchored.node);
    this.#values += anchored.read.values;
    if (secret) this.#noteSecrets(anchored.read.value);
    return anchored.read.value;
  }

  #readScalar(node: Scalar, { secret }: { readonly secret: boolean }): unknown {
    const { value } = node;
    if (typeof value === "bigint") {
      return this.#fault(node, "Cannot use this number as it has too many digits to be kept exactly: put it in quotes");
    }
    if (secret) this.#noteSecrets(typeof value === "number" ? node.source : value);
    if (typeof value === "string") this.#noteInnerSecrets(value);
    this.#scalars.push({ offset: node.range?.[0] ?? 0, value });
    return value;
  }

  #readMap(node: YAMLMap<Node, Node | null>, context: { readonly depth: number; readonly secret: boolean }): unknown {
    const [own, merged] = [new Map<string, unknown>(), new Map<string, unknown>()];
    const firsts = new Map<string, Node>();
    for (const pair of node.items) {
      if (!isPair(pair)) continue;
      if (isMergeKey(pair.key)) {
        this.#readMerge(pair, merged, context);
        continue;
      }
      const key = this.#readKey(pair.key, context);
      const secret = context.secret || (key !== undefined && namesSecret(key));
      if (secret && !context.secret) this.#maskPair(pair, node.flow === true);
      const value = this.#read(pair.value, { depth: context.depth + 1, secret });
      if (key === undefined) continue;
      // A key without a value, where a secret is wanted, is more likely the secret.
      if (context.secret && value === null) this.#noteSecrets(key);
      const first = firsts.get(key);
      if (first === undefined) {
        firsts.set(key, pair.key);
        own.set(key, value);
      } else {
        const line = this.#text.slice(0, first.range?.[0] ?? 0).split("\n").length;
        this.#fault(pair.key, `Cannot use the key ${nameKey(key)} twice: it already stands in line ${line}`);
      }
    }
    return Object.freeze(Object.fromEntries([...merged].filter(([key]) => !own.has(key)).concat([...own])));
  }

  #readKey(node: Node | null, context: { readonly depth: number }): string | undefined {
    const values = this.#scalars.length;
    this.#read(node, { depth: context.depth + 1, secret: false });
    this.#scalars.length = values;
    const target = node !== null && isAlias(node) ? this.#aliases.get(node) : node;
    if (!isScalar(target) || target.value === null) {
      return this.#fault(node, "Cannot use this key as it must be a text");
    }
    const key = keyOf(target);
    if (key === "__proto__") {
      return this.#fault(node, "Cannot use the key __proto__: it is kept for the language's own use");
    }
    return key;
  }

  #readMerge(
    pair: Pair<Node, Node | null>,
    merged: Map<string, unknown>,
    context: { readonly depth: number; readonly secret: boolean },
  ): void {
    const value = this.#read(pair.value, { ...context, depth: context.depth + 1 });
    const maps: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const map of maps) {
      if (typeof map !== "object" || map === null || Array.isArray(map)) {
        this.#fault(
          pair.value ?? pair.key,
          "Cannot use << here as it must be followed by an alias of a map, or a list of such",
        );
        return;
      }
      for (const [key, inner] of Object.entries(map)) if (!merged.has(key)) merged.set(key, inner);
    }
  }

  /** Marks the value of a secret key, and in block form the rest of its line: `password: #1` is an empty value and a comment. */
  #maskPair(pair: Pair<Node, Node | null>, flow: boolean): void {
    const keyStart = pair.key.range?.[0] ?? 0;
    const keyEnd = pair.key.range?.[1] ?? keyStart;
    this.#secretKeys.push({ start: keyStart, end: keyEnd });
    const start = keyEnd + (/^\s*:?[ \t]*/.exec(this.#text.slice(keyEnd, keyEnd + 1_100))?.[0].length ?? 0);
    const valueEnd = start + this.#text.slice(start, pair.value?.range?.[1] ?? start).trimEnd().length;
    const lineEnd = this.#text.indexOf("\n", valueEnd);
    const end = flow ? valueEnd : lineEnd === -1 ? this.#text.length : lineEnd;
    if (end > start) this.masks.push({ start, end });
  }

  #noteSecrets(value: unknown): void {
    if (typeof value === "string") {
      for (const text of [value, ...value.split("\n")]) if (text.trim() !== "") this.secrets.add(text.trim());
    } else if (typeof value === "number") this.secrets.add(String(value));
    else if (typeof value === "object" && value !== null) {
      for (const inner of Object.values(value)) this.#noteSecrets(inner);
    }
  }

  /** Whether the place is one that is masked in its line for the text before it. */
  #isMaskedByText(offset: number): boolean {
    const start = this.#text.lastIndexOf("\n", offset - 1) + 1;
    let masks = this.#lineMasks.get(start);
    if (masks === undefined) {
      const end = this.#text.indexOf("\n", offset);
      const line = this.#text.slice(start, end === -1 ? undefined : end);
      masks = line.length > EXCERPT_SOURCE_MAX ? [] : lineMasks(line, (at) => this.isSecretKeyAt(start + at));
      this.#lineMasks.set(start, masks);
    }
    return masks.some((mask) => mask.start <= offset - start && offset - start < mask.end);
  }

  /** Notes what is secret within a longer text, as a password in an address. */
  #noteInnerSecrets(text: string): void {
    for (const line of text.split("\n")) {
      if (line.length > EXCERPT_SOURCE_MAX) continue;
      for (const { start, end } of lineMasks(line)) {
        const secret = line.slice(start, end);
        this.#noteSecrets(secret);
        // Of user:password, the password alone too.
        if (secret.includes(":")) this.#noteSecrets(secret.slice(secret.indexOf(":") + 1));
      }
    }
  }
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === "<<" && key.type === "PLAIN";
}

function keyOf(key: Scalar): string {
  return String(key.value);
}

/** Names a key in a message; one that does not look like a key may be anything, so it is not printed. */
function nameKey(key: string): string {
  return /^[\w.:/-]{1,80}$/.test(key) ? key : "of this line";
}
