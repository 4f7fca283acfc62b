/**
 * Go's text/template with the functions of confd, written in Liquid for the
 * balancer `template`. What has no counterpart is named with its place. Pure.
 *
 * @module
 */
import type { GoNode, Operand, Pipe, Place, Trim } from "./go_template.ts";

/** A part of a template that has no counterpart. */
export interface Unconverted extends Place {
  /** What it is: `datetime`. */
  readonly what: string;
  readonly why: string;
}

/** What is known of a value; it decides what is false, and what a loop yields. */
type Kind = "string" | "number" | "bool" | "entry" | "strings" | "entries" | "map" | "json" | "nothing";

/** A value in Liquid. */
interface Value {
  /** An expression: a variable or a literal, and its filters. */
  readonly text: string;
  readonly kind: Kind;
  /** Whether the expression has filters, so that it cannot stand within another. */
  readonly isFiltered?: boolean;
  /** Whether it is a comparison: it may stand in a condition, but not within another expression. */
  readonly isCondition?: boolean;
  /** For `and` and `or`: their operands, as the expression is a condition. */
  readonly operands?: readonly Value[];
  /** The string that a literal stands for. */
  readonly literal?: string;
  /** The string that the expression begins with. */
  readonly start?: string;
}

/** A tag or an output, without its braces. */
interface Piece {
  readonly text: string;
  readonly isOutput?: boolean;
}

/** Names that a variable of a template cannot have here. */
const RESERVED =
  /^(?:and|or|not|contains|true|false|nil|null|empty|blank|forloop|tablerowloop|keys|cluster|clusters|host)$/;

/**
 * Writes a template in Liquid. `below` is the path that all keys are below: the
 * template asks for keys without it.
 */
export function toLiquid(
  nodes: readonly GoNode[],
  { below = "" }: { readonly below?: string } = {},
): { readonly text: string; readonly unconverted: readonly Unconverted[] } {
  const translator = new Translator(below);
  translator.list(nodes);
  return { text: translator.text, unconverted: translator.unconverted };
}

const NOTHING: Value = { text: "nil", kind: "nothing" };

class Translator {
  readonly unconverted: Unconverted[] = [];
  readonly #below: string;
  #out = "";
  #ahead: Piece[] = [];
  readonly #taken = new Set<string>();
  #scopes: Map<string, Value>[] = [new Map()];
  #dot: Value = NOTHING;

  constructor(below: string) {
    this.#below = below;
  }

  get text(): string {
    return this.#out;
  }

  list(nodes: readonly GoNode[]): void {
    for (const node of nodes) this.#node(node);
  }

  #node(node: GoNode): void {
    switch (node.kind) {
      case "text":
        this.#out += node.text.replaceAll(/\{%|\{$/g, (brace) => `{{ "${brace}" }}`);
        return;
      case "comment":
        return this.#emit([{ text: `# ${node.text.replaceAll(/\s+/g, " ").replaceAll(/[%}]\}/g, "")}` }], node.trim);
      case "break":
      case "continue":
        return this.#emit([{ text: node.kind }], node.trim);
      case "other":
        this.#fault(node.at, node.word, "sub-templates are not supported; inline the content where it is used");
        return this.#emit([{ text: `# not converted: ${node.word}` }], node.trim);
      case "action":
        return this.#action(node);
      case "if":
      case "with":
        return this.#condition(node);
      case "range":
        return this.#loop(node);
    }
  }

  #action({ assignment, pipe, trim }: Extract<GoNode, { readonly kind: "action" }>): void {
    const value = this.#pipe(pipe);
    if (assignment !== undefined) {
      this.#assign(assignment.names[0] ?? "", value, assignment.isNew);
      return this.#emit([], trim);
    }
    this.#emit([{ text: this.#settled(value).text, isOutput: true }], trim);
  }

  #condition(node: Extract<GoNode, { readonly kind: "if" | "range" | "with" }>): void {
    const { kind, assignment, pipe, body, otherwise, trim, end } = node;
    this.#scopes.push(new Map());
    const dot = this.#dot;
    let value = this.#pipe(pipe);
    const name = assignment?.names[0];
    if (name !== undefined) value = this.#assign(name, value, assignment?.isNew ?? true);
    if (kind === "with") value = this.#atom(value);
    this.#emit([{ text: `if ${this.#truth(value)}` }], trim);
    if (kind === "with") this.#dot = value;
    this.list(body);
    this.#dot = dot;
    if (otherwise !== undefined) {
      this.#emit([{ text: "else" }], otherwise.trim);
      this.list(otherwise.body);
    }
    this.#emit([{ text: "endif" }], end);
    this.#scopes.pop();
  }

  #loop(
    { assignment, pipe, body, otherwise, trim, end }: Extract<GoNode, { readonly kind: "if" | "range" | "with" }>,
  ): void {
    const list = this.#atom(this.#pipe(pipe));
    const [first, second] = assignment?.names ?? [];
    const item = this.#free((second ?? first ?? "$item").slice(1));
    const isMap = list.kind === "map";
    const element: Value = isMap
      ? { text: `${item}[1]`, kind: "json" }
      : { text: item, kind: list.kind === "entries" ? "entry" : list.kind === "strings" ? "string" : "json" };
    const scope = new Map<string, Value>();
    const inner: Piece[] = [];
    if (second !== undefined && first !== undefined) {
      scope.set(second, element);
      if (isMap) scope.set(first, { text: `${item}[0]`, kind: "string" });
      else {
        const index = this.#free(first.slice(1));
        scope.set(first, { text: index, kind: "number" });
        inner.push({ text: `assign ${index} = forloop.index0` });
      }
    } else if (first !== undefined) scope.set(first, element);
    const dot = this.#dot;
    this.#scopes.push(scope);
    this.#emit([{ text: `for ${item} in ${list.text}` }, ...inner], trim);
    this.#dot = element;
    this.list(body);
    this.#dot = dot;
    this.#scopes.pop();
    if (otherwise !== undefined) {
      this.#emit([{ text: "else" }], otherwise.trim);
      this.list(otherwise.body);
    }
    this.#emit([{ text: "endfor" }], end);
  }

  /** Writes what was prepared and these pieces; the first and the last remove the space around them. */
  #emit(pieces: readonly Piece[], { before, behind }: Trim): void {
    const all = [...this.#ahead, ...pieces];
    this.#ahead = [];
    // Without any, there is the space to remove still.
    if (all.length === 0 && (before || behind)) all.push({ text: "# " });
    all.forEach(({ text, isOutput = false }, i) => {
      const [open, close] = isOutput ? ["{{", "}}"] : ["{%", "%}"];
      const [left, right] = [before && i === 0 ? "-" : "", behind && i === all.length - 1 ? "-" : ""];
      this.#out += `${open}${left} ${text} ${right}${close}`;
    });
  }

  #fault({ line, column }: Place, what: string, why: string): Value {
    this.unconverted.push({ line, column, what, why });
    return { text: '""', kind: "json" };
  }

  /** A name that nothing else has. */
  #free(wanted: string): string {
    const base = wanted.replaceAll(/[^A-Za-z0-9_]/g, "") || "value";
    for (let number = 1;; number++) {
      const name = number === 1 ? base : `${base}_${number}`;
      if (this.#taken.has(name) || RESERVED.test(name)) continue;
      this.#taken.add(name);
      return name;
    }
  }

  #assign(name: string, given: Value, isNew: boolean): Value {
    const value = this.#settled(given);
    const scope = isNew ? this.#scopes.at(-1) : this.#scopes.findLast((each) => each.has(name)) ?? this.#scopes.at(-1);
    const known = isNew ? undefined : scope?.get(name)?.text;
    const text = known ?? this.#free(name.slice(1));
    this.#ahead.push({ text: `assign ${text} = ${value.text}` });
    const assigned: Value = { text, kind: value.kind };
    scope?.set(name, assigned);
    return assigned;
  }

  /** A variable or a literal, which may stand anywhere. */
  #atom(given: Value): Value {
    const value = this.#settled(given);
    if (value.isFiltered !== true && value.isCondition !== true) return value;
    const text = this.#free("value");
    this.#ahead.push({ text: `assign ${text} = ${value.text}` });
    return { text, kind: value.kind };
  }

  /** Of `and` and `or`, the operand that they come to. */
  #settled(value: Value): Value {
    const { operands } = value;
    if (operands === undefined || value.kind === "bool") return value;
    const text = this.#free("value");
    const isOr = value.text === "or";
    const [first = NOTHING, ...rest] = operands.map((each) => this.#settled(each));
    this.#ahead.push({ text: `assign ${text} = ${first.text}` });
    for (const each of rest) {
      const truth = this.#truth({ text, kind: first.kind });
      this.#ahead.push({ text: `if ${truth}` });
      if (isOr) this.#ahead.push({ text: "else" });
      this.#ahead.push({ text: `assign ${text} = ${each.text}` }, { text: "endif" });
    }
    return { text, kind: first.kind };
  }

  /** The condition that a value is true in Go's sense. */
  #truth(value: Value): string {
    if (value.operands !== undefined && value.kind !== "bool") {
      return value.operands.map((each) => this.#simple(each)).join(` ${value.text} `);
    }
    const { text, kind } = value.isCondition === true ? value : this.#atom(value);
    switch (kind) {
      case "bool":
      case "entry":
        return text;
      case "nothing":
        return "false";
      case "number":
        return `${text} != 0`;
      case "string":
        return `${text} != ""`;
      case "strings":
      case "entries":
      case "map":
        return `${text} != empty`;
      case "json":
        return `${text} and ${text} != "" and ${text} != 0 and ${text} != empty`;
    }
  }

  /** A condition that can be one of several. */
  #simple(value: Value): string {
    const truth = this.#truth(value);
    if (!/ (?:and|or) /.test(truth)) return truth;
    const text = this.#free("is_true");
    this.#ahead.push({ text: `assign ${text} = ${truth}` });
    return text;
  }

  #pipe({ commands }: Pipe): Value {
    let piped: Value | undefined;
    for (const [head, ...rest] of commands) {
      if (head.kind === "name") {
        piped = this.#call(head, [...rest.map((each) => this.#operand(each)), ...piped === undefined ? [] : [piped]]);
      } else if (rest.length > 0 || piped !== undefined) {
        piped = this.#fault(head.at, "call", "not a function");
      } else piped = this.#operand(head);
    }
    return piped ?? NOTHING;
  }

  #operand(operand: Operand): Value {
    switch (operand.kind) {
      case "text":
        return literal(operand.value);
      case "number":
        return { text: String(Number(operand.value)), kind: "number" };
      case "constant":
        return operand.value === "nil" ? NOTHING : { text: operand.value, kind: "bool" };
      case "name":
        return this.#call(operand, []);
      case "dot":
        return this.#fields(this.#dot, operand);
      case "pipe":
        return this.#fields(this.#pipe(operand.value), operand);
      case "variable": {
        const value = operand.value === "$" ? NOTHING : this.#scopes.findLast((each) => each.has(operand.value))
          ?.get(operand.value);
        return value === undefined
          ? this.#fault(operand.at, operand.value, "unknown variable")
          : this.#fields(value, operand);
      }
    }
  }

  #fields(value: Value, { fields, at }: Operand): Value {
    const [field, ...rest] = fields;
    if (field === undefined) return value;
    if (value.kind === "entry" && rest.length === 0 && (field === "Key" || field === "Value")) {
      const inner = `${this.#atom(value).text}.${field.toLowerCase()}`;
      return field === "Value" || this.#below === ""
        ? { text: inner, kind: "string" }
        : { text: `${inner} | prepend: ${quoted(this.#below)}`, kind: "string", isFiltered: true };
    }
    if (value.kind !== "json" && value.kind !== "map") return this.#fault(at, `.${fields.join(".")}`, "no such field");
    return { text: [this.#atom(value).text, ...fields].join("."), kind: "json" };
  }

  #call({ value: name, at }: Extract<Operand, { readonly kind: "name" }>, given: readonly Value[]): Value {
    const convert = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (convert === undefined) return this.#fault(at, name, NO_COUNTERPART[name] ?? "unknown function");
    const tools: Tools = {
      atom: (value) => this.#atom(value).text,
      base: (value) => (value.isCondition === true ? this.#atom(value) : this.#settled(value)).text,
      truth: (value) => this.#simple(value),
      key: (value) => this.#key(value),
      ahead: (text) => void this.#ahead.push({ text }),
      free: (wanted) => this.#free(wanted),
    };
    const result = convert(given, tools);
    return typeof result === "string" ? this.#fault(at, name, result) : result;
  }

  /** A key as it is asked for here: without the path that all keys are below. */
  #key(value: Value): string {
    const below = this.#below;
    if (below === "") return this.#atom(value).text;
    if (value.literal !== undefined) {
      const key = `/${value.literal.split("/").filter((part) => part !== "").join("/")}`;
      return quoted(key === below ? "/" : key.startsWith(`${below}/`) ? key.slice(below.length) : key);
    }
    if (value.start?.startsWith(`${below}/`)) {
      const rest = `${quoted(value.start.slice(below.length))}${value.text.slice(quoted(value.start).length)}`;
      return this.#atom({ ...value, text: rest }).text;
    }
    const text = `${this.#settled(value).text} | remove_first: ${quoted(below)}`;
    return this.#atom({ text, kind: "string", isFiltered: true }).text;
  }
}

/** What functions need of the translator. */
interface Tools {
  readonly atom: (value: Value) => string;
  /** What a filter can follow. */
  readonly base: (value: Value) => string;
  readonly truth: (value: Value) => string;
  readonly key: (value: Value) => string;
  /** Has a tag written before the action. */
  readonly ahead: (text: string) => void;
  readonly free: (wanted: string) => string;
}

/** A function of templates: the value that it comes to, or why it cannot be converted. */
type Convert = (given: readonly Value[], tools: Tools) => Value | string;

function literal(value: string): Value {
  return { text: quoted(value), kind: "string", literal: value };
}

/** A string as Liquid writes it. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

const ARGUMENTS = "unexpected arguments";

/** A filter with so many arguments. */
const filter = (name: string, kind: Kind, count = 0): Convert => (given, { atom, base }) => {
  const [value, ...rest] = given;
  if (value === undefined || rest.length !== count) return ARGUMENTS;
  const list = rest.map(atom).join(", ");
  return { text: `${base(value)} | ${name}${list === "" ? "" : `: ${list}`}`, kind, isFiltered: true };
};

/** The same, for a filter that leaves the kind of a list as it is. */
const listFilter = (name: string): Convert => (given, tools) => filter(name, given[0]?.kind ?? "json")(given, tools);

/** A question for keys. */
const ofKeys = (name: string, kind: Kind): Convert => ([key, standard, ...rest], { atom, key: keyOf }) => {
  if (key === undefined || rest.length > 0 || (standard !== undefined && name !== "get")) return ARGUMENTS;
  if (/^gets|^getvs/.test(name) && /[?[\\]/.test(key.literal ?? "")) return "only the wildcard * is supported";
  const last = standard === undefined ? "" : `, ${atom(standard)}`;
  return { text: `keys | ${name}: ${keyOf(key)}${last}`, kind, isFiltered: true };
};

const compare = (operator: string): Convert => (given, { atom }) => {
  const [left, ...right] = given;
  if (left === undefined || right.length === 0 || (right.length > 1 && operator !== "==")) return ARGUMENTS;
  const all = right.map((each) => `${atom(left)} ${operator} ${atom(each)}`);
  return { text: all.join(" or "), kind: "bool", isCondition: true };
};

const several = (operator: "and" | "or"): Convert => (given, { truth }) => {
  if (given.length === 0) return ARGUMENTS;
  if (!given.every(({ kind }) => kind === "bool")) return { text: operator, kind: "json", operands: given };
  return { text: given.map(truth).join(` ${operator} `), kind: "bool", isCondition: true };
};

/** Text that no value has, to tell the end of a string. */
const END = "\u{FFFF}";

const FUNCTIONS: Readonly<Record<string, Convert>> = {
  getv: ofKeys("get", "string"),
  get: ([key, ...rest], tools) => {
    if (key === undefined || rest.length > 0) return ARGUMENTS;
    const name = tools.free("entry");
    // An entry by itself is the only one of those that match its name.
    tools.ahead(`assign ${name} = keys | gets: ${tools.key(key)} | first`);
    return { text: name, kind: "entry" };
  },
  gets: ofKeys("gets", "entries"),
  getvs: ofKeys("getvs", "strings"),
  ls: ofKeys("ls", "strings"),
  lsdir: ofKeys("lsdir", "strings"),
  exists: ofKeys("exists", "bool"),
  base: filter("basename", "string"),
  dir: filter("dirname", "string"),
  json: filter("parse_json", "map"),
  jsonArray: filter("parse_json", "json"),
  split: filter("split", "strings", 1),
  join: filter("join", "string", 1),
  replace: ([text, old, by, count, ...rest], tools) => {
    if (text === undefined || old === undefined || by === undefined || count === undefined || rest.length > 0) {
      return ARGUMENTS;
    }
    if (count.text !== "-1" && count.text !== "1") return "the count must be -1 (all) or 1 (the first)";
    return filter(count.text === "1" ? "replace_first" : "replace", "string", 2)([text, old, by], tools);
  },
  toUpper: filter("upcase", "string"),
  toLower: filter("downcase", "string"),
  trimSuffix: ([text, suffix, ...rest], tools) => {
    if (text === undefined || suffix === undefined || rest.length > 0) return ARGUMENTS;
    const end = quoted(END);
    const last = tools.atom({ text: `${tools.base(suffix)} | append: ${end}`, kind: "string", isFiltered: true });
    const filters = `append: ${end} | replace: ${last}, "" | remove: ${end}`;
    return { text: `${tools.base(text)} | ${filters}`, kind: "string", isFiltered: true };
  },
  contains: ([text, part, ...rest], { atom }) =>
    text === undefined || part === undefined || rest.length > 0
      ? ARGUMENTS
      : { text: `${atom(text)} contains ${atom(part)}`, kind: "bool", isCondition: true },
  parseBool: ([text, ...rest], tools) => {
    if (text === undefined || rest.length > 0) return ARGUMENTS;
    const lower = tools.atom({ text: `${tools.base(text)} | downcase`, kind: "string", isFiltered: true });
    return {
      text: ["true", "t", "1"].map((word) => `${lower} == "${word}"`).join(" or "),
      kind: "bool",
      isCondition: true,
    };
  },
  base64Encode: filter("base64_encode", "string"),
  base64Decode: filter("base64_decode", "string"),
  reverse: listFilter("reverse"),
  sortByLength: listFilter("sort_by_length"),
  sortKVByLength: listFilter("sort_by_length"),
  atoi: filter("integer", "number"),
  add: filter("plus", "number", 1),
  sub: filter("minus", "number", 1),
  mul: filter("times", "number", 1),
  mod: filter("modulo", "number", 1),
  div: ([by, divisor, ...rest], { atom, base }) =>
    by === undefined || divisor === undefined || rest.length > 0
      ? ARGUMENTS
      : { text: `${base(by)} | divided_by: ${atom(divisor)}, true`, kind: "number", isFiltered: true },
  seq: filter("sequence", "strings", 1),
  len: filter("size", "number"),
  index: ([list, ...at], { atom }) =>
    list === undefined || at.length === 0
      ? ARGUMENTS
      : { text: `${atom(list)}${at.map((each) => `[${atom(each)}]`).join("")}`, kind: elementOf(list.kind) },
  print: (given, tools) => joined(given, tools),
  printf: ([format, ...given], tools) => {
    if (format?.literal === undefined) return "the format must be a string literal";
    const parts = format.literal.split(/(%%|%[-+# 0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z])/);
    const verbs = parts.filter((part, i) => i % 2 === 1 && part !== "%%");
    if (verbs.some((verb) => !/^%[sdv]$/.test(verb)) || verbs.length !== given.length) {
      return "only the verbs %s, %d and %v are supported, with one value each";
    }
    let next = 0;
    const values = parts.flatMap((part, i): Value[] => {
      if (i % 2 === 0) return part === "" ? [] : [literal(part)];
      return [part === "%%" ? literal("%") : given[next++] ?? NOTHING];
    });
    return joined(values, tools);
  },
  eq: compare("=="),
  ne: compare("!="),
  lt: compare("<"),
  le: compare("<="),
  gt: compare(">"),
  ge: compare(">="),
  and: several("and"),
  or: several("or"),
  not: ([value, ...rest], { truth }) =>
    value === undefined || rest.length > 0
      ? ARGUMENTS
      : { text: `not ${truth(value)}`, kind: "bool", isCondition: true },
};

/** One string of several values. */
function joined(given: readonly Value[], { atom, base }: Tools): Value {
  const [first = literal(""), ...rest] = given;
  const filters = rest.map((each) => ` | append: ${atom(each)}`).join("");
  const isFiltered = filters !== "" || first.isFiltered === true;
  const start = first.literal === undefined ? {} : { start: first.literal };
  return { text: `${base(first)}${filters}`, kind: "string", ...isFiltered && { isFiltered }, ...start };
}

function elementOf(kind: Kind): Kind {
  return kind === "strings" ? "string" : kind === "entries" ? "entry" : "json";
}

const PROBES_NOTHING = "templates can read only members and keys, not this host or the network";

const NO_COUNTERPART: Readonly<Record<string, string>> = {
  getenv: PROBES_NOTHING,
  datetime: PROBES_NOTHING,
  fileExists: PROBES_NOTHING,
  lookupIP: PROBES_NOTHING,
  lookupIPV4: PROBES_NOTHING,
  lookupIPV6: PROBES_NOTHING,
  lookupSRV: PROBES_NOTHING,
  map: "templates cannot create maps; use the values directly",
  cget: "encrypted values are not supported",
  cgets: "encrypted values are not supported",
  cgetv: "encrypted values are not supported",
  cgetvs: "encrypted values are not supported",
};
