/**
 * Python's three kinds of format strings with named fields, as far as texts
 * and numbers go: `%(name)-8s`, `{name:<8}`, `$name`. Pure.
 *
 * @module
 */

/** What a field holds: a text, an integer, or a number with a fraction, which Python writes otherwise. */
export type FieldValue = string | number | { readonly float: number };

/** What kind of value a field holds; `undefined` for a field that does not exist. */
export type FieldKinds = (name: string) => "text" | "int" | "float" | undefined;

/** The three kinds. */
export type FormatStyle = "%" | "{" | "$";

/** A format that can be filled in. */
export interface CompiledFormat {
  /** Told apart from a fault. */
  readonly ok: true;
  /** The fields in it that exist. */
  readonly fields: ReadonlySet<string>;
  /** The fields in it that do not: they are written as `-`. */
  readonly unknown: readonly string[];
  /** Fills it in. */
  write(valueOf: (name: string) => FieldValue): string;
}

/** A piece of a format. */
type Piece = string | { readonly name: string; readonly write: (value: FieldValue) => string };

/** Raised inside of this module for a format that Python would not take either. */
class FormatFault extends Error {
  override name = "FormatFault";
}

const NEEDS_FIELD: Readonly<Record<FormatStyle, string>> = {
  "%": "a text with a field in it such as %(message)s",
  "{": "a text with a field in it such as {message}",
  "$": "a text with a field in it such as $message",
};

/** Reads a format; or says what is wanted instead of it. */
export function compileFormat(
  style: FormatStyle,
  format: string,
  kindOf: FieldKinds,
): CompiledFormat | { readonly ok: false; readonly wanted: string } {
  try {
    const pieces = PARSERS[style](format, kindOf);
    const fields = pieces.filter((piece) => typeof piece !== "string");
    if (fields.length === 0) throw new FormatFault(NEEDS_FIELD[style]);
    const names = new Set(fields.map(({ name }) => name));
    return {
      ok: true,
      fields: new Set([...names].filter((name) => kindOf(name) !== undefined)),
      unknown: [...names].filter((name) => kindOf(name) === undefined),
      write: (valueOf) =>
        pieces.map((piece) =>
          typeof piece === "string" ? piece : kindOf(piece.name) === undefined ? "-" : piece.write(valueOf(piece.name))
        ).join(""),
    };
  } catch (error) {
    if (error instanceof FormatFault) return { ok: false, wanted: error.message };
    throw error;
  }
}

const PARSERS: Readonly<Record<FormatStyle, (format: string, kindOf: FieldKinds) => readonly Piece[]>> = {
  "%": parsePercent,
  "{": parseBraces,
  "$": parseDollars,
};

/** A field may be so wide, and have so many digits: more is a slip. */
const WIDTH_MAX = 1_000;
const PRECISION_MAX = 100;

function bounded(digits: string | undefined, max: number): number | undefined {
  if (digits === undefined || digits === "") return undefined;
  if (Number(digits) > max) {
    throw new FormatFault(`a format whose widths are at most ${WIDTH_MAX} and precisions ${PRECISION_MAX}`);
  }
  return Number(digits);
}

function refuseKind(name: string, what: string, kind: string): never {
  throw new FormatFault(`a format that fits its fields: ${what} cannot write ${name}, which is ${kind}`);
}

const KIND_WORDS = { text: "a text", int: "an integer", float: "a number with a fraction" } as const;

// The % style.

const PERCENT =
  /%(?:\((?<name>[^)]*)\))?(?<flags>[#0+ -]*)(?<width>\*|\d+)?(?:\.(?<precision>\*|\d*))?[hlL]?(?<type>.)?/gsu;

function parsePercent(format: string, kindOf: FieldKinds): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of format.matchAll(PERCENT)) {
    pieces.push(format.slice(at, match.index));
    at = match.index + match[0].length;
    const { name, flags = "", width, precision, type } = match.groups ?? {};
    if (type === "%") pieces.push("%");
    else pieces.push(percentField({ name, flags, width, precision, type, text: match[0] }, kindOf));
  }
  return [...pieces, format.slice(at)];
}

interface PercentSpec {
  readonly name: string | undefined;
  readonly flags: string;
  readonly width: string | undefined;
  readonly precision: string | undefined;
  readonly type: string | undefined;
  readonly text: string;
}

function percentField({ name, flags, width, precision, type, text }: PercentSpec, kindOf: FieldKinds): Piece {
  if (type === undefined || !"sradiuoxXeEfFgGc".includes(type)) {
    throw new FormatFault(
      `a format with %% for a percent sign, or a conversion such as s or d: ${JSON.stringify(text)} has none`,
    );
  }
  if (name === undefined || name === "") {
    throw new FormatFault(`a format whose fields have names: ${JSON.stringify(text)} has none`);
  }
  if (width === "*" || precision === "*") throw new FormatFault("a format whose widths are digits");
  const wide = bounded(width, WIDTH_MAX) ?? 0;
  const digits = precision === "" ? 0 : bounded(precision, PRECISION_MAX);
  const left = flags.includes("-");
  const sign = flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  if ("sra".includes(type)) {
    const write = (value: FieldValue) => {
      const whole = type === "s" ? asText(value) : asRepr(value, type === "a");
      const cut = digits === undefined ? whole : [...whole].slice(0, digits).join("");
      return pad(cut, { width: wide, align: left ? "<" : ">", fill: " " });
    };
    return { name, write };
  }
  const kind = kindOf(name) ?? "int";
  if (kind === "text" || (kind === "float" && "oxXc".includes(type))) refuseKind(name, `%${type}`, KIND_WORDS[kind]);
  const align = left ? "<" : flags.includes("0") ? "=" : ">";
  const fill = align === "=" ? "0" : " ";
  if (type === "c") {
    return {
      name,
      write: (value) => pad(asChar(value), { width: wide, align: left ? "<" : ">", fill: " " }),
    };
  }
  const write = (value: FieldValue) => {
    const number = asNumber(value);
    const body = "diuoxX".includes(type)
      ? inBase(Math.abs(Math.trunc(number)), type, flags.includes("#")).padStartDigits(digits ?? 1)
      : writeFloat(Math.abs(number), type, digits ?? 6, flags.includes("#"));
    return padNumber(isNegative(number, type) ? "-" : sign, body, { width: wide, align, fill });
  };
  return { name, write };
}

function isNegative(number: number, type: string): boolean {
  return "diuoxX".includes(type) ? Math.trunc(number) < 0 : number < 0 || Object.is(number, -0);
}

// The { style.

const BRACES = /\{\{|\}\}|\{(?<name>[^{}!:]*)(?:!(?<conversion>[^:{}]*))?(?::(?<spec>[^{}]*))?\}|[{}]/gu;
const SPEC =
  /^(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[+ -])?(?<alternate>#)?(?<zero>0)?(?<width>\d+)?(?<group>[,_])?(?:\.(?<precision>\d+))?(?<type>[bcdeEfFgGnosxX%])?$/u;

function parseBraces(format: string, kindOf: FieldKinds): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of format.matchAll(BRACES)) {
    pieces.push(format.slice(at, match.index));
    at = match.index + match[0].length;
    const { name, conversion, spec = "" } = match.groups ?? {};
    if (match[0] === "{{" || match[0] === "}}") pieces.push(match[0].charAt(0));
    else if (name === undefined) {
      throw new FormatFault("a format whose braces are closed, with {{ and }} for braces themselves");
    } else if (!/^[A-Za-z_]\w*$/.test(name)) {
      throw new FormatFault(`a format whose fields have names: ${JSON.stringify(match[0])} has none`);
    } else pieces.push(braceField(name, conversion, spec, kindOf));
  }
  return [...pieces, format.slice(at)];
}

function braceField(name: string, conversion: string | undefined, spec: string, kindOf: FieldKinds): Piece {
  if (conversion !== undefined && !/^[rsa]$/.test(conversion)) {
    throw new FormatFault(`a format whose conversions are !r, !s or !a: ${JSON.stringify(conversion)} is another`);
  }
  const groups = SPEC.exec(spec)?.groups;
  if (groups === undefined) {
    throw new FormatFault(
      `a format whose fields are written as Python's str.format does: ${JSON.stringify(spec)} is not`,
    );
  }
  const kind = conversion === undefined ? kindOf(name) ?? "text" : "text";
  const { align, sign = "", alternate, zero, group = "", type } = groups;
  const width = bounded(groups.width, WIDTH_MAX) ?? 0;
  const precision = bounded(groups.precision, PRECISION_MAX);
  const isText = type === undefined ? kind === "text" : type === "s";
  const fill = groups.fill ?? (zero === undefined ? " " : "0");
  if (isText || kind === "text") {
    if (!isText || kind !== "text") refuseKind(name, `:${type}`, KIND_WORDS[kind]);
    if (align === "=" || sign !== "" || group !== "" || alternate !== undefined) {
      refuseKind(name, `:${spec}`, KIND_WORDS.text);
    }
    const write = (value: FieldValue) => {
      const whole = conversion === undefined || conversion === "s" ? asText(value) : asRepr(value, conversion === "a");
      const cut = precision === undefined ? whole : [...whole].slice(0, precision).join("");
      return pad(cut, { width, align: (align ?? "<") as Align, fill });
    };
    return { name, write };
  }
  const integral = type === undefined || type === "n" ? kind === "int" : "bcdoxX".includes(type);
  if (integral && kind === "float") refuseKind(name, `:${type}`, KIND_WORDS.float);
  if (group === "," && type !== undefined && "bcnoxX".includes(type)) refuseKind(name, `:${spec}`, KIND_WORDS[kind]);
  if (integral && precision !== undefined) refuseKind(name, `:${spec}`, KIND_WORDS.int);
  const side = (align ?? (zero === undefined ? ">" : "=")) as Align;
  const write = (value: FieldValue) => {
    const number = asNumber(value);
    if (type === "c") return pad(asChar(value), { width, align: (align ?? "<") as Align, fill });
    const size = Math.abs(number);
    const body = integral
      ? inBase(Math.trunc(size), type ?? "d", alternate !== undefined)
      : type === undefined && precision === undefined
      ? { prefix: "", digits: floatRepr(size) }
      : writeFloat(size, type === "n" ? "g" : type ?? "", precision ?? 6, alternate !== undefined);
    const grouped = group === "" ? body : { ...body, digits: inGroups(body.digits, group, type) };
    return padNumber(number < 0 ? "-" : sign === "-" ? "" : sign, grouped, { width, align: side, fill });
  };
  return { name, write };
}

/** Puts a sign between each three digits, or four where a base of two is written. */
function inGroups(digits: string, group: string, type: string | undefined): string {
  const size = type !== undefined && "boxX".includes(type) ? 4 : 3;
  const [, whole = "", rest = ""] = /^([0-9a-fA-F]*)(.*)$/s.exec(digits) ?? [];
  return whole.replaceAll(new RegExp(`\\B(?=(?:[0-9a-fA-F]{${size}})+$)`, "g"), group) + rest;
}

// The $ style.

function parseDollars(format: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of format.matchAll(/\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})?/gu)) {
    const [whole, escaped, bare, braced] = match;
    pieces.push(format.slice(at, match.index));
    at = match.index + whole.length;
    const name = bare ?? braced;
    if (escaped !== undefined) pieces.push("$");
    else if (name === undefined) {
      throw new FormatFault("a format with $$ for a dollar sign, and fields such as $message or ${message}");
    } else pieces.push({ name, write: asText });
  }
  return [...pieces, format.slice(at)];
}

// Values.

function asNumber(value: FieldValue): number {
  return typeof value === "object" ? value.float : Number(value);
}

function asText(value: FieldValue): string {
  return typeof value === "object" ? floatRepr(value.float) : String(value);
}

function asChar(value: FieldValue): string {
  return String.fromCodePoint(Math.min(0x10FFFF, Math.max(0, Math.trunc(asNumber(value)))));
}

function asRepr(value: FieldValue, ascii: boolean): string {
  if (typeof value !== "string") return asText(value);
  const mark = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value.replaceAll(/[\\'"\n\r\t]/g, (char) => {
    if (char === "'" || char === '"') return char === mark ? `\\${char}` : char;
    return { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" }[char] ?? char;
  });
  const shown = !ascii ? escaped : escaped.replaceAll(/[^\0-\x7F]/gu, (char) => {
    const code = char.codePointAt(0) ?? 0;
    const hex = code.toString(16);
    return code < 0x100
      ? `\\x${hex.padStart(2, "0")}`
      : code < 0x10000
      ? `\\u${hex.padStart(4, "0")}`
      : `\\U${hex.padStart(8, "0")}`;
  });
  return `${mark}${shown}${mark}`;
}

/** Writes a number with a fraction as Python's `repr` does: never without a point or an exponent. */
function floatRepr(number: number): string {
  const size = Math.abs(number);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) return twoDigitExponent(number.toExponential());
  const text = String(number);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** A number without its sign. */
class Digits {
  readonly prefix: string;
  readonly digits: string;

  constructor(prefix: string, digits: string) {
    [this.prefix, this.digits] = [prefix, digits];
  }

  padStartDigits(least: number): Digits {
    return new Digits(this.prefix, this.digits.padStart(least, "0"));
  }
}

const BASES: Readonly<Record<string, readonly [number, string]>> = {
  b: [2, "0b"],
  o: [8, "0o"],
  x: [16, "0x"],
  X: [16, "0X"],
};

function inBase(size: number, type: string, alternate: boolean): Digits {
  const [base, prefix] = BASES[type] ?? [10, ""];
  const digits = size.toString(base);
  return new Digits(alternate ? prefix : "", type === "X" ? digits.toUpperCase() : digits);
}

function writeFloat(size: number, type: string, precision: number, alternate: boolean): Digits {
  switch (type) {
    case "f":
    case "F":
      return new Digits("", pointed(fixed(size, precision), alternate));
    case "%":
      return new Digits("", `${pointed(fixed(size * 100, precision), alternate)}%`);
    case "e":
    case "E": {
      const text = pointed(twoDigitExponent(size.toExponential(precision)), alternate);
      return new Digits("", type === "E" ? text.toUpperCase() : text);
    }
    default: {
      const digits = Math.max(1, precision);
      const exponent = Number(size.toExponential(digits - 1).split("e")[1]);
      // Without a type, one digit at least stands behind the point.
      const plain = exponent >= -4 && exponent < (type === "" ? digits - 1 : digits);
      const long = plain ? fixed(size, digits - 1 - exponent) : size.toExponential(digits - 1);
      const short = long.replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, "");
      const cut = type === "" && plain && !short.includes(".") ? `${short}.0` : short;
      const text = twoDigitExponent(alternate ? pointed(long, true) : cut);
      return new Digits("", type === "G" ? text.toUpperCase() : text);
    }
  }
}

/** Writes so many digits after the point; what lies just between two goes to the even one, as in C. */
function fixed(size: number, precision: number): string {
  const scaled = size * 10 ** precision;
  const isTie = scaled % 1 === 0.5 && size * 2 ** (precision + 1) % 1 === 0;
  return isTie && Math.floor(scaled) % 2 === 0
    ? (Math.floor(scaled) / 10 ** precision).toFixed(precision)
    : size.toFixed(precision);
}

function pointed(text: string, alternate: boolean): string {
  return alternate && !text.includes(".") ? text.replace(/(?=e|$)/, ".") : text;
}

function twoDigitExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

type Align = "<" | ">" | "^" | "=";

interface Padding {
  readonly width: number;
  readonly align: Align;
  readonly fill: string;
}

function pad(text: string, { width, align, fill }: Padding): string {
  const lack = Math.max(0, width - [...text].length);
  if (align === "<") return text + fill.repeat(lack);
  if (align === "^") return fill.repeat(Math.floor(lack / 2)) + text + fill.repeat(Math.ceil(lack / 2));
  return fill.repeat(lack) + text;
}

/** With `=`, what fills stands between the sign and the digits. */
function padNumber(sign: string, { prefix, digits }: Pick<Digits, "prefix" | "digits">, padding: Padding): string {
  const head = sign + prefix;
  if (padding.align !== "=") return pad(head + digits, padding);
  return head + pad(digits, { ...padding, width: padding.width - head.length, align: ">" });
}
