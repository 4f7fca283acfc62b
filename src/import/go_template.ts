/**
 * Reads Go's text/template: a text becomes nodes, each with its place. What
 * they mean is not looked at. Pure.
 *
 * @module
 */

/** Where something stands, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One word of a command. */
export type Operand =
  & (
    | { readonly kind: "text"; readonly value: string }
    | { readonly kind: "number"; readonly value: string }
    | { readonly kind: "constant"; readonly value: "true" | "false" | "nil" }
    /** A function. */
    | { readonly kind: "name"; readonly value: string }
    /** `$` and `$name`. */
    | { readonly kind: "variable"; readonly value: string }
    /** `.` itself. */
    | { readonly kind: "dot" }
    | { readonly kind: "pipe"; readonly value: Pipe }
  )
  & {
    /** The fields behind it: `.Key`. */
    readonly fields: readonly string[];
    readonly at: Place;
  };

/** A command: a function with its arguments, or a value alone. */
export type Command = readonly [Operand, ...Operand[]];

/** Commands, each of which is the last argument of the next. */
export interface Pipe {
  readonly commands: readonly [Command, ...Command[]];
  readonly at: Place;
}

/** `$x :=` or `$x =` before a pipe. */
export interface Assignment {
  readonly names: readonly string[];
  readonly isNew: boolean;
}

/** Whether the space before and behind an action is removed. */
export interface Trim {
  readonly before: boolean;
  readonly behind: boolean;
}

/** A part of a template. */
export type GoNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "comment"; readonly text: string; readonly trim: Trim }
  | {
    readonly kind: "action";
    readonly assignment?: Assignment | undefined;
    readonly pipe: Pipe;
    readonly trim: Trim;
    readonly at: Place;
  }
  | {
    readonly kind: "if" | "range" | "with";
    readonly assignment?: Assignment | undefined;
    readonly pipe: Pipe;
    readonly body: readonly GoNode[];
    readonly otherwise?: { readonly body: readonly GoNode[]; readonly trim: Trim } | undefined;
    readonly trim: Trim;
    readonly end: Trim;
    readonly at: Place;
  }
  | { readonly kind: "break" | "continue"; readonly trim: Trim; readonly at: Place }
  /** `define`, `template` and `block`. */
  | { readonly kind: "other"; readonly word: string; readonly trim: Trim; readonly at: Place };

/** Something in a template that Go would not read either. */
export class GoTemplateError extends Error {
  override readonly name = "GoTemplateError";
  readonly at: Place;

  constructor(message: string, at: Place) {
    super(message);
    this.at = at;
  }
}

/** Reads a template. @throws {GoTemplateError} */
export function parseGoTemplate(text: string): readonly GoNode[] {
  const parser = new TemplateParser(split(text));
  return parser.all();
}

/** A piece of text, or the inside of `{{ }}`. */
type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly text: string; readonly trim: Trim; readonly at: Place };

function split(text: string): readonly Piece[] {
  const pieces: Piece[] = [];
  const placeOf = placesOf(text);
  let at = 0;
  for (;;) {
    const open = text.indexOf("{{", at);
    if (open === -1) {
      pieces.push({ kind: "text", text: text.slice(at) });
      return pieces;
    }
    pieces.push({ kind: "text", text: text.slice(at, open) });
    const before = /^-\s/.test(text.slice(open + 2, open + 4));
    const start = open + 2 + (before ? 1 : 0);
    const close = endOfAction(text, start);
    if (close === -1) throw new GoTemplateError("unclosed {{", placeOf(open));
    const behind = /\s-$/.test(text.slice(start, close));
    const inner = text.slice(start, close - (behind ? 1 : 0));
    const indent = inner.length - inner.trimStart().length;
    pieces.push({ kind: "action", text: inner.trim(), trim: { before, behind }, at: placeOf(start + indent) });
    at = close + 2;
  }
}

/** Where the `}}` of an action is, past strings and comments. */
function endOfAction(text: string, start: number): number {
  const comment = /^\s*\/\*/.exec(text.slice(start, start + 100));
  if (comment !== null) {
    const end = text.indexOf("*/", start);
    return end === -1 ? -1 : text.indexOf("}}", end);
  }
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (char === "}" && text[at + 1] === "}") return at;
    if (char === "`") {
      at = text.indexOf("`", at + 1);
      if (at === -1) return -1;
    } else if (char === '"' || char === "'") {
      const [string = ""] = /^(["'])(?:\\.|(?!\1)[^\\\n])*\1/.exec(text.slice(at)) ?? [];
      if (string === "") return -1;
      at += string.length - 1;
    }
  }
  return -1;
}

function placesOf(text: string): (offset: number) => Place {
  return (offset) => {
    const before = text.slice(0, offset);
    const column = [...before.slice(before.lastIndexOf("\n") + 1)].length + 1;
    return { line: before.split("\n").length, column };
  };
}

const BLOCKS = ["if", "range", "with"] as const;
type Block = typeof BLOCKS[number];

class TemplateParser {
  readonly #pieces: readonly Piece[];
  #next = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  all(): readonly GoNode[] {
    const { nodes, stop } = this.#list();
    if (stop !== undefined) throw new GoTemplateError(`unexpected ${stop.word}`, stop.at);
    return nodes;
  }

  /** Reads to the `else` or `end` of the block around, or to the end of the text. */
  #list(): {
    readonly nodes: readonly GoNode[];
    readonly stop?:
      | { readonly word: string; readonly rest: string; readonly trim: Trim; readonly at: Place }
      | undefined;
  } {
    const nodes: GoNode[] = [];
    for (let piece = this.#pieces[this.#next++]; piece !== undefined; piece = this.#pieces[this.#next++]) {
      if (piece.kind === "text") {
        if (piece.text !== "") nodes.push(piece);
        continue;
      }
      const { text, trim, at } = piece;
      const word = /^[a-z]+(?![\w.])/.exec(text)?.[0] ?? "";
      const rest = text.slice(word.length).trim();
      if (text.startsWith("/*")) nodes.push({ kind: "comment", text: text.slice(2, -2).trim(), trim });
      else if (word === "else" || word === "end") return { nodes, stop: { word, rest, trim, at } };
      else if (isBlock(word)) nodes.push(this.#block(word, rest, { trim, at, offset: text.length - rest.length }));
      else if ((word === "break" || word === "continue") && rest === "") nodes.push({ kind: word, trim, at });
      else if (["define", "template", "block"].includes(word)) {
        nodes.push({ kind: "other", word, trim, at });
        if (word !== "template") this.#skip(at);
      } else nodes.push({ kind: "action", ...parsePipe(text, at), trim, at });
    }
    return { nodes };
  }

  #block(
    kind: Block,
    rest: string,
    { trim, at, offset }: { readonly trim: Trim; readonly at: Place; readonly offset: number },
  ): GoNode {
    const head = { kind, ...parsePipe(rest, { line: at.line, column: at.column + offset }), trim, at };
    const { nodes: body, stop } = this.#list();
    if (stop === undefined) throw new GoTemplateError(`${kind} without end`, at);
    if (stop.word === "end") return { ...head, body, end: stop.trim };
    const chained = /^(?:if|with)(?!\w)/.exec(stop.rest)?.[0];
    if (chained !== undefined && isBlock(chained)) {
      // `else if` shares the end of what it stands in.
      const plain = { before: false, behind: false };
      const inner = this.#block(chained, stop.rest.slice(chained.length).trim(), {
        trim: { before: false, behind: stop.trim.behind },
        at: stop.at,
        offset: 0,
      });
      return {
        ...head,
        body,
        otherwise: { body: [inner], trim: { before: stop.trim.before, behind: false } },
        end: "end" in inner ? { before: false, behind: inner.end.behind } : plain,
      };
    }
    const { nodes: other, stop: end } = this.#list();
    if (end?.word !== "end") throw new GoTemplateError(`${kind} without end`, at);
    return { ...head, body, otherwise: { body: other, trim: stop.trim }, end: end.trim };
  }

  /** Passes over what a definition has in it. */
  #skip(at: Place): void {
    for (;;) {
      const { stop } = this.#list();
      if (stop === undefined) throw new GoTemplateError("unclosed definition: {{end}} is missing", at);
      if (stop.word === "end") return;
    }
  }
}

function isBlock(word: string): word is Block {
  return (BLOCKS as readonly string[]).includes(word);
}

const TOKEN =
  /\s+|\|(?!\|)|\(|\)|:=|=|,|"(?:\\.|[^"\\])*"|`[^`]*`|'(?:\\.|[^'\\])*'|\$\w*(?:\.\w+)*|(?:\.\w+)+|\.|[+-]?\d[\w.]*|[A-Za-z_]\w*(?:\.\w+)*|[^]/gy;

interface Token {
  readonly text: string;
  readonly at: Place;
}

function parsePipe(
  text: string,
  at: Place,
): { readonly assignment?: Assignment | undefined; readonly pipe: Pipe } {
  const tokens: Token[] = [...text.matchAll(TOKEN)].filter(([token]) => token.trim() !== "").map((match) => {
    const before = text.slice(0, match.index);
    const lines = before.split("\n");
    const column = (lines.length === 1 ? at.column : 1) + [...lines.at(-1) ?? ""].length;
    return { text: match[0], at: { line: at.line + lines.length - 1, column } };
  });
  const words = tokens.map((token) => token.text);
  const define = words.findIndex((word) => word === ":=" || word === "=");
  const isAssignment = define > 0 && words.slice(0, define).every((word) => word === "," || word.startsWith("$"));
  const names = isAssignment ? words.slice(0, define).filter((word) => word !== ",") : [];
  const reader = new PipeParser(isAssignment ? tokens.slice(define + 1) : tokens, at);
  const pipe = reader.pipe();
  reader.end();
  return { ...isAssignment && { assignment: { names, isNew: words[define] === ":=" } }, pipe };
}

class PipeParser {
  readonly #tokens: readonly Token[];
  readonly #at: Place;
  #next = 0;

  constructor(tokens: readonly Token[], at: Place) {
    [this.#tokens, this.#at] = [tokens, at];
  }

  pipe(): Pipe {
    const at = this.#tokens[this.#next]?.at ?? this.#at;
    const first = this.#command();
    const more: Command[] = [];
    while (this.#tokens[this.#next]?.text === "|") {
      this.#next++;
      more.push(this.#command());
    }
    return { commands: [first, ...more], at };
  }

  end(): void {
    const token = this.#tokens[this.#next];
    if (token !== undefined) throw new GoTemplateError(`unexpected ${token.text}`, token.at);
  }

  #command(): Command {
    const operands: Operand[] = [];
    for (;;) {
      const token = this.#tokens[this.#next];
      if (token === undefined || token.text === "|" || token.text === ")") break;
      this.#next++;
      operands.push(this.#operand(token));
    }
    const [first, ...rest] = operands;
    if (first === undefined) throw new GoTemplateError("empty command", this.#tokens[this.#next]?.at ?? this.#at);
    return [first, ...rest];
  }

  #operand({ text, at }: Token): Operand {
    if (text === "(") {
      const value = this.pipe();
      const close = this.#tokens[this.#next++];
      if (close?.text !== ")") throw new GoTemplateError("unclosed (", at);
      const behind = this.#tokens[this.#next];
      const isField = behind !== undefined && /^\.\w/.test(behind.text) && behind.at.line === close.at.line &&
        behind.at.column === close.at.column + 1;
      if (isField) this.#next++;
      return { kind: "pipe", value, fields: isField ? behind.text.slice(1).split(".") : [], at };
    }
    if (text.startsWith("`")) return { kind: "text", value: text.slice(1, -1), fields: [], at };
    if (text.startsWith('"')) return { kind: "text", value: unquote(text, at), fields: [], at };
    if (text.startsWith("'")) {
      const code = unquote(`"${text.slice(1, -1)}"`, at).codePointAt(0) ?? 0;
      return { kind: "number", value: String(code), fields: [], at };
    }
    if (/^[+-]?\d/.test(text)) return { kind: "number", value: text, fields: [], at };
    if (text.startsWith("$")) {
      const [value = "$", ...fields] = text.split(".");
      return { kind: "variable", value, fields, at };
    }
    if (text === ".") return { kind: "dot", fields: [], at };
    if (text.startsWith(".")) return { kind: "dot", fields: text.slice(1).split("."), at };
    if (text === "true" || text === "false" || text === "nil") return { kind: "constant", value: text, fields: [], at };
    const [value = "", ...fields] = text.split(".");
    if (/^[A-Za-z_]\w*$/.test(value)) return { kind: "name", value, fields, at };
    throw new GoTemplateError(`unexpected ${text}`, at);
  }
}

/** The string that a literal in double quotes stands for. */
function unquote(literal: string, at: Place): string {
  try {
    const json = literal.replaceAll(/\\(?:a|v|'|x[0-9a-fA-F]{2}|[0-7]{3}|U[0-9a-fA-F]{8})/g, (escape) => {
      const code = escape === "\\a"
        ? 7
        : escape === "\\v"
        ? 11
        : escape === "\\'"
        ? 39
        : /^\\[xU]/.test(escape)
        ? Number.parseInt(escape.slice(2), 16)
        : Number.parseInt(escape.slice(1), 8);
      return JSON.stringify(String.fromCodePoint(code)).slice(1, -1);
    }).replaceAll("\t", "\\t");
    return JSON.parse(json);
  } catch {
    throw new GoTemplateError(`cannot read the string ${literal}`, at);
  }
}
