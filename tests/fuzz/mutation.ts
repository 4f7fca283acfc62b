import fc from "fast-check";

/** Number of inputs per property: few in CI, many with `deno task fuzz`. */
export const RUNS = Number(Deno.env.get("FUZZ_RUNS") ?? 300);

/** Inputs that often break parsers. */
const NASTY = [
  "\n",
  "\r\n",
  "\0",
  "\t",
  "\u001b[31m",
  "\ufeff",
  "\ud800",
  "\u2028",
  " ",
  ";",
  ":",
  "- ",
  "#",
  "'",
  '"',
  "{",
  "}",
  "[",
  "&a ",
  "*a",
  "!!python/object:os.system ",
  "<<: ",
  "? ",
  "|",
  ">",
  "%",
  "__proto__",
  "constructor",
  "null",
  "~",
  "yes",
  "-1",
  "65536",
  "1e999",
  "0x7f",
  "9".repeat(30),
  "a".repeat(5_000),
  "[".repeat(200),
];

/** One change to a string. */
type Edit =
  | { readonly do: "cut"; readonly at: number; readonly length: number }
  | { readonly do: "insert"; readonly at: number; readonly text: string }
  | { readonly do: "double"; readonly at: number; readonly length: number };

const at = fc.nat(1_000_000);
const length = fc.integer({ min: 1, max: 60 });
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ do: fc.constant("cut" as const), at, length }),
  fc.record({
    do: fc.constant("insert" as const),
    at,
    text: fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: "binary", maxLength: 8 })),
  }),
  fc.record({ do: fc.constant("double" as const), at, length }),
);

/** Strings that are almost one of the given ones. */
export function nearly(...seeds: readonly string[]): fc.Arbitrary<string> {
  return fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { minLength: 1, maxLength: 6 })).map(([seed, edits]) =>
    edits.reduce(apply, seed)
  );
}

function apply(text: string, edit: Edit): string {
  const start = text.length === 0 ? 0 : edit.at % text.length;
  switch (edit.do) {
    case "cut":
      return text.slice(0, start) + text.slice(start + edit.length);
    case "insert":
      return text.slice(0, start) + edit.text + text.slice(start);
    case "double":
      return text.slice(0, start + edit.length) + text.slice(start);
  }
}
