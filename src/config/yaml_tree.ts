import { Composer, isAlias, isMap, isPair, isScalar, isSeq, Parser } from "yaml";
import type { Alias, Document, Node, Pair, ParsedNode, Scalar, YAMLMap } from "yaml";
import { assert } from "../kernel/assert.ts";
import { EXCERPT_SOURCE_MAX } from "./diagnostics.ts";
import type { Path } from "../kernel/findings.ts";
import { lineMasks, namesSecret, type Span } from "./redact.ts";
import { CANNOT_PARSE, NO_TAGS, offsetOfError, TOO_DEEP, wordsFor, type YamlFault } from "./yaml_faults.ts";
import { SCALAR_TAGS } from "./yaml_scalars.ts";

/** Lists and maps that are nested deeper than this are rejected. */
const DEPTH_MAX = 64;

/** A file may hold this many values, those behind aliases counted each time they are used. */
const VALUES_MAX = 100_000;

/** Reads a text; without a tree there is at least one fault. */
export function parseYaml(text: string): { readonly faults: readonly YamlFault[]; readonly tree?: Tree } {
  let document: Document.Parsed<ParsedNode, false>;
  try {
    const composer = new Composer<ParsedNode, false>({
      // Nothing but these tags, whatever a %YAML directive says: the rules of 1.0's parser.
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
    assert(first !== undefined, "the parser yields at least an empty document");
    document = first;
  } catch (error) {
    return {
      faults: [{ offset: 0, message: `${CANNOT_PARSE}: ${error instanceof RangeError ? TOO_DEEP : "syntax error"}` }],
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

/** What an anchor stands for. */
interface Anchored {
  readonly node: Node;
  /** Absent while it is being read: an alias to it then is a cycle. */
  read?: { readonly value: unknown; readonly values: number };
}

/** A parsed document as a plain value, with the places of its parts and of its secrets. */
export class Tree {
  /** The value, frozen; worth nothing if there are faults. */
  readonly value: unknown;
  /** What is wrong, in no order. */
  readonly faults: YamlFault[] = [];
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
      if (!this.#tooMany) this.#fault(node, `Cannot use the file: must contain at most ${VALUES_MAX} values`);
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
        "Cannot use this alias: no anchor with this name precedes it; a string that begins with * must be in quotes",
      );
    }
    if (anchored.read === undefined) {
      return this.#fault(node, "Cannot use this alias: the anchored value contains the alias itself");
    }
    this.#aliases.set(node, anchored.node);
    this.#values += anchored.read.values;
    if (secret) this.#noteSecrets(anchored.read.value);
    return anchored.read.value;
  }

  #readScalar(node: Scalar, { secret }: { readonly secret: boolean }): unknown {
    const { value } = node;
    if (typeof value === "bigint") {
      return this.#fault(node, "Cannot use this number: too many digits for an exact value; put the number in quotes");
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
        this.#fault(pair.key, `Duplicate key ${nameKey(key)}: first used on line ${line}`);
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
      return this.#fault(node, "Cannot use this key: must be a string");
    }
    const key = keyOf(target);
    if (key === "__proto__") {
      return this.#fault(node, "Cannot use the key __proto__: the name is reserved");
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
          "Cannot use << here: must be followed by an alias of a map, or a list of such aliases",
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
  return /^[\w.:/-]{1,80}$/.test(key) ? key : "on this line";
}
