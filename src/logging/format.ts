/**
 * Python's `%(name)s` formats as log files use them: a field, a width, a
 * precision, left or right. Pure.
 *
 * @module
 */

/** What a field holds: a string, an integer, or a number with a fraction. */
export type FieldKind = "text" | "int" | "float";

/** The fields that a format may name. */
export const RECORD_FIELDS: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  ...("name msg args levelname pathname filename module exc_info exc_text stack_info funcName threadName processName " +
    "taskName message asctime program").split(" ").map((name) => [name, "text"] as const),
  ...["levelno", "lineno", "thread", "process"].map((name) => [name, "int"] as const),
  ...["created", "msecs", "relativeCreated"].map((name) => [name, "float"] as const),
]);

/** A format that can be filled in. */
export interface CompiledFormat {
  readonly ok: true;
  /** The fields of {@linkcode RECORD_FIELDS} in it. */
  readonly fields: ReadonlySet<string>;
  /** The fields in it that do not exist: written as `-`. */
  readonly unknown: readonly string[];
  /** The conversions in it that Python has and Lighthouse has not: written as `%s`. */
  readonly unsupported: readonly string[];
  /** Fills it in. */
  write(valueOf: (name: string) => string | number): string;
}

/** A piece of a format: literal text, or a field with its writer. */
type Piece = string | { readonly name: string; readonly write: (value: string | number) => string };

/** A wider field, or a more precise one, is a slip. */
const WIDTH_MAX = 1_000;
const PRECISION_MAX = 100;

const FIELD =
  /%(?:\((?<name>[^)]*)\)(?<flags>[#0+ -]*)(?<width>\d*)(?:\.(?<precision>\d*))?(?<type>[a-zA-Z])|(?<percent>%)|)/g;

/** Reads a format; or says what is wanted instead of it. */
export function compileFormat(format: string): CompiledFormat | { readonly ok: false; readonly wanted: string } {
  const [pieces, fields, unknown, unsupported]: [Piece[], Set<string>, Set<string>, Set<string>] = [
    [],
    new Set(),
    new Set(),
    new Set(),
  ];
  let at = 0;
  for (const match of format.matchAll(FIELD)) {
    pieces.push(format.slice(at, match.index));
    at = match.index + match[0].length;
    const { name, flags = "", width = "", precision, type = "", percent } = match.groups ?? {};
    if (percent !== undefined) {
      pieces.push("%");
      continue;
    }
    if (name === undefined || name === "") {
      return { ok: false, wanted: "a format with %% for a percent sign, and fields such as %(message)s" };
    }
    if (Number(width) > WIDTH_MAX || Number(precision ?? 0) > PRECISION_MAX) {
      return { ok: false, wanted: `a format with widths up to ${WIDTH_MAX} and precisions up to ${PRECISION_MAX}` };
    }
    const kind = RECORD_FIELDS.get(name);
    (kind === undefined ? unknown : fields).add(name);
    const isNumeric = "diuf".includes(type);
    if (kind === "text" && isNumeric) {
      return { ok: false, wanted: `a format that fits its fields: %${type} cannot write ${name}, which is a string` };
    }
    if (!isNumeric && type !== "s" || /[#+ ]/.test(flags)) unsupported.add(match[0]);
    const spec = { flags, width: Number(width), precision: precision === undefined ? undefined : Number(precision) };
    pieces.push({
      name,
      write: kind === undefined
        ? () => "-"
        : isNumeric
        ? (value) => writeNumber(Number(value), type, spec)
        : (value) => writeText(textOf(value, kind), spec),
    });
  }
  pieces.push(format.slice(at));
  if (fields.size + unknown.size === 0) return { ok: false, wanted: "a string with a field in it such as %(message)s" };
  return {
    ok: true,
    fields,
    unknown: [...unknown],
    unsupported: [...unsupported],
    write: (valueOf) =>
      pieces.map((piece) => typeof piece === "string" ? piece : piece.write(valueOf(piece.name))).join(""),
  };
}

interface Spec {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
}

/** Python writes a number with a fraction with at least one digit behind the point. */
function textOf(value: string | number, kind: FieldKind): string {
  return kind === "float" && Number.isInteger(value) ? `${value}.0` : String(value);
}

function writeText(whole: string, { flags, width, precision }: Spec): string {
  const chars = [...whole].slice(0, precision);
  const space = " ".repeat(Math.max(0, width - chars.length));
  return flags.includes("-") ? chars.join("") + space : space + chars.join("");
}

function writeNumber(value: number, type: string, { flags, width, precision }: Spec): string {
  const digits = type === "f" ? value.toFixed(precision ?? 6) : String(Math.trunc(value)).padStart(precision ?? 0, "0");
  if (flags.includes("-")) return digits.padEnd(width);
  return digits.padStart(width, flags.includes("0") ? "0" : " ");
}
