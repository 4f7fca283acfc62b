import assert from "node:assert/strict";
import fc from "fast-check";
import { formatDiagnostic } from "./diagnostics.ts";
import type { Finding } from "../kernel/findings.ts";
import { Source } from "./source.ts";

function read(text: string): Source {
  return new Source("config/services/web.yaml", new TextEncoder().encode(text));
}

/** The value of a text that has no problems. */
function valueOf(text: string): unknown {
  const source = read(text);
  assert.deepEqual(source.problems, []);
  return source.value;
}

/** All that the file's own problems show. */
function shownOf(source: Source): string {
  return source.problems.map((problem) => formatDiagnostic(problem)).join("\n");
}

function place(source: Source, path: (string | number)[], at?: "key" | "value"): string {
  const { line, column } = source.locate(path, at);
  return `${line}:${column}`;
}

const error = (path: (string | number)[], message: string): Finding => ({
  severity: "error",
  path,
  message,
  at: "value",
});

// What PyYAML 6 makes of each.
Deno.test.each([
  ["yes", true],
  ["No", false],
  ["ON", true],
  ["off", false],
  ["true", true],
  ["False", false],
  ["y", "y"],
  ["N", "N"],
  ["tRue", "tRue"],
  ["~", null],
  ["", null],
  ["null", null],
  ["nULL", "nULL"],
  ["010", 8],
  ["08", "08"],
  ["0o17", "0o17"],
  ["0x1F", 31],
  ["-0x1F", -31],
  ["0b101", 5],
  ["1_000", 1000],
  ["+12", 12],
  ["-7", -7],
  ["0", 0],
  ["1:30", 90],
  ["-1:30", -90],
  ["190:20:30.15", 685230.15],
  ["1:60", "1:60"],
  ["1.5", 1.5],
  ["1.", 1],
  [".5", 0.5],
  ["-.5", "-.5"],
  ["-1.5", -1.5],
  ["1e3", "1e3"],
  ["1.5e3", "1.5e3"],
  ["1.5e+3", 1500],
  ["12e4567", "12e4567"],
  [".inf", Infinity],
  ["-.INF", -Infinity],
  [".nan", NaN],
  ["1.2.3", "1.2.3"],
  ["10.0.0.1:80", "10.0.0.1:80"],
  ["2001-12-14", "2001-12-14"],
  ["'yes'", "yes"],
  ['"010"', "010"],
  ["!!str 12", "12"],
  ['!!int "12"', 12],
  ["web", "web"],
])("Source reads %s as 1.0 did", (text, value) => {
  assert.deepEqual(valueOf(`a: ${text}\n`), { a: value });
});

Deno.test("Source reads only the first document, and ignores %YAML", () => {
  assert.deepEqual(valueOf("a: 1\n---\nb: [\n"), { a: 1 });
  assert.deepEqual(valueOf("%YAML 1.2\n---\na: yes\n"), { a: true });
  assert.equal(valueOf("# nothing\n"), null);
});

Deno.test("Source reads keys that are not strings in JSON's form", () => {
  assert.deepEqual(valueOf("{1: a, yes: b, 1.5: c}"), { "1": "a", true: "b", "1.5": "c" });
});

Deno.test("Source merges << as 1.0 did: own keys win, then the first map", () => {
  const text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\nd: {<<: *b, '<<': 3}\n";
  assert.deepEqual(valueOf(text), {
    a: { x: 1, y: 1 },
    b: { y: 2, z: 2 },
    c: { y: 1, z: 2, x: 0 },
    d: { y: 2, z: 2, "<<": 3 },
  });
});

Deno.test("Source freezes its value deeply", () => {
  const value = valueOf("a: {b: [c, {d: e}]}") as { a: { b: [string, object] } };
  for (const part of [value, value.a, value.a.b, value.a.b[1]]) assert.ok(Object.isFrozen(part));
});

Deno.test("Source keeps keys that objects inherit as plain keys", () => {
  const value = valueOf("constructor: 1\ntoString: 2\nhasOwnProperty: 3\n") as Record<string, unknown>;
  assert.deepEqual(Object.entries(value), [["constructor", 1], ["toString", 2], ["hasOwnProperty", 3]]);
  for (const text of ["__proto__: {a: 1}", "{a: {'__proto__': 1}}", "x: &x {__proto__: {}}\ny: {<<: *x}"]) {
    const source = read(text);
    assert.match(shownOf(source), /Cannot use the key __proto__/);
    assert.equal(source.value, undefined);
  }
  assert.equal(({} as Record<string, unknown>).a, undefined);
});

Deno.test.each(
  [
    ["a value", ["checks", "http", "rise"], "value", "5:11"],
    ["a key", ["checks", "http", "rise"], "key", "5:5"],
    ["a map in block form: its key", ["checks", "http"], "value", "3:3"],
    ["a map in flow form", ["checks", "tcp"], "value", "6:8"],
    ["a value in flow form", ["checks", "tcp", "rise"], "value", "6:15"],
    ["a missing key: its parent", ["checks", "http", "fall"], "value", "3:3"],
    ["a missing path: the nearest parent", ["checks", "http", "a", "b", 3], "value", "3:3"],
    ["an entry of a list", ["ports", 1], "value", "1:15"],
    ["an empty value: its key", ["host"], "value", "7:1"],
    ["the root", [], "value", "1:1"],
  ] as const,
)("Source.locate() finds %s", (_what, path, at, wanted) => {
  const text = "ports: [8000, x]\nchecks:\n  http:\n    uri: /\n    rise: two\n  tcp: {rise: x}\nhost:\n";
  assert.equal(place(read(text), [...path], at), wanted);
});

Deno.test("Source.locate() follows aliases and merges to the value", () => {
  const source = read("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\nd:\n  - *a\n");
  assert.equal(place(source, ["b", "x"]), "1:11");
  assert.equal(place(source, ["b"]), "2:4");
  assert.equal(place(source, ["c", "x"]), "1:11");
  assert.equal(place(source, ["d", 0, "x"]), "1:11");
});

Deno.test("Source.locate() counts characters, not bytes or code units", () => {
  assert.equal(place(read('a: 1\r\nb: {"👍é": 1, c: 2}\r\n'), ["b", "c"]), "2:17");
});

Deno.test.each([
  ["an unknown tag", "a: !foo x", /Cannot use a YAML tag/],
  ["a Python tag", "a: !!python/object/apply:os.system [id]", /Cannot use a YAML tag/],
  ["binary", "a: !!binary aGk=", /Cannot use a YAML tag/],
  ["a set", "a: !!set {x, y}", /Cannot use a YAML tag/],
  ["a key given twice", "a: 1\nb: 2\na: 3", /3:1: error: Duplicate key a: first used on line 1/],
  ["a key given twice in other letters", "1: a\n'1': b", /Duplicate key 1: first/],
  ["an alias without its anchor", "a: *b", /no anchor with this name precedes it/],
  ["an alias in its own anchor", "a: &a [*a]", /contains the alias itself/],
  ["a merge of no map", "a: &a 1\nb: {<<: *a}", /Cannot use <</],
  ["a merge of a list of no maps", "b: {<<: [1]}", /Cannot use <</],
  ["a key that is a list", "? [a]\n: b", /this key: must be a string/],
  ["a key that is nothing", "~: b", /this key: must be a string/],
  ["a number with too many digits", "a: 12345678901234567890", /too many digits/],
  ["a control character", "a: \u0007", /control character U\+0007/],
  ["a lone carriage return", "a: 1\rb: 2", /control character U\+000D/],
])("Source rejects %s", (_what, text, wanted) => {
  const source = read(text);
  assert.match(shownOf(source), wanted);
  assert.equal(source.value, undefined);
});

Deno.test("Source rejects bytes that are not UTF-8, with their position", () => {
  const bytes = new Uint8Array([...new TextEncoder().encode("# é\na: caf"), 0xE9, 0x0A]);
  const source = new Source("f", bytes);
  assert.match(shownOf(source), /^f:2:7: error: Cannot read the file: must be UTF-8/);
});

Deno.test("Source limits the findings of one file", () => {
  assert.equal(read("a: !x 1\n".repeat(1_000)).problems.length, 20);
});

Deno.test({
  name: "Source limits aliases, depth and size",
  timeout: 60_000,
  fn() {
    const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
    for (const [i, key] of [..."bcdefghijk"].entries()) {
      bomb.push(`${key}: &${key} [${Array(9).fill(`*${"abcdefghij"[i]}`)}]`);
    }
    assert.match(shownOf(read(bomb.join("\n"))), /at most 100000 values/);
    assert.match(shownOf(read(`a: &a {x: 1}\n${"- *a\n".repeat(10)}`)), /Cannot read the file as YAML/);
    const many = (text: string) => read(text.repeat(Math.floor(20_000 / text.length)));
    for (
      const text of ["[", "{a: ", "- ", "a: ", "&a ", "*a ", "!a ", '"\\', "? ", ": ", "<<: *a\n", "a: {b: c}\n", "{}"]
    ) {
      assert.ok(many(text).problems.length > 0, text);
    }
    for (const text of ["x", "#", "- a\n", "|\n ", "---\n", "- [a,b]\n", "\n"]) {
      assert.deepEqual(many(text).problems, [], text);
    }
    assert.match(shownOf(read("- a\n".repeat(100_001))), /at most 100000 values/);
    const aliased = read(`a: &a ${"x".repeat(1_000)}\nb: [${Array(50_000).fill("*a").join(",")}]`);
    assert.deepEqual(aliased.problems, []);
  },
});

Deno.test("Source.diagnose() shows the line with a caret under the position", () => {
  const source = read("checks:\n  http:\n    rise: two\n");
  const finding = error(["http", "rise"], "Cannot use rise");
  assert.equal(
    formatDiagnostic(source.diagnose(finding, { under: ["checks"] })),
    "config/services/web.yaml:3:11: error: Cannot use rise\n   3 |     rise: two\n     |           ^",
  );
});

Deno.test("Source.diagnose() masks a secret in a careless message", () => {
  const source = read(
    'auth: &a {password: s3cr3t, n: 12345}\nuri: "http://me:p4ssw0rd@h"\nlist: ["stats auth a:b1gs3cret"]\nshort: {token: ab}\nother: *a\n',
  );
  const said = (path: string[], message: string) => source.diagnose(error(path, message)).message;
  assert.equal(said(["x"], "it is s3cr3t"), "it is *****");
  assert.equal(said(["x"], "it is 12345"), "it is *****");
  assert.equal(said(["x"], "p4ssw0rd and b1gs3cret"), "***** and *****");
  assert.equal(said(["x"], "stats auth a:b1gs3cret"), "stats auth *****");
  assert.equal(said(["short", "token"], "current value is ab"), "current value is *****");
  assert.equal(said(["x"], 'current value is "ab"'), 'current value is "*****"');
});

/** Every form in which a secret may stand in a file, valid or not. */
const FORMS: readonly string[] = [
  "password: S\n",
  'password: "S"\n',
  "password: 'S'\n",
  "password: |\n  S\n  S\n",
  "password: >-\n  S\n\n  S\n",
  "password:\n  S\n",
  "password:\n  - S\n  - S\n",
  "password:\n- S\n",
  "password:\n  a:\n    b: S\n",
  "{password: S, rise: 2}\n",
  '{"password": "S", "rise": 2}\n',
  "{a: {password: [S, S]}}\n",
  "- password: S\n  rise: 2\n",
  "- {name: x, token: S}\n",
  "? password\n: S\n",
  "password: &a S\nb: *a\n",
  "a: &a S\npassword: *a\n",
  "password: !!str S\n",
  "uri: redis://me:S@host/0\n",
  "uris: ['redis://me:S@host/0', \"http://S@host\"]\n",
  "lines:\n  - stats auth me:S\n  - user x password S\n",
  "auth: {user: S, scheme: S}\n",
  "# password: S\n",
  "password: S # S\n",
  "password: # S\n",
  "password:   \n  S\n",
  "db_password : S\n",
  "x: 'password=S'\n",
];

const HIDDEN = "Hunter2Zebra9Quokka";

Deno.test("Source shows no part of a secret in any diagnostic of any value", () => {
  for (const form of FORMS) {
    const source = read(`port: 1\n${form}after: 2\n`.replaceAll("S", HIDDEN));
    for (const text of [shownOf(source), ...everyPlace(source).map((each) => formatDiagnostic(each))]) {
      assert.doesNotMatch(text, /Hunter|Zebra|Quokka/, form);
    }
  }
});

/** A diagnostic of each value of a file, with a message that quotes it. */
function everyPlace(source: Source): ReturnType<Source["diagnose"]>[] {
  const found: ReturnType<Source["diagnose"]>[] = [];
  const visit = (value: unknown, path: (string | number)[]) => {
    for (const at of ["key", "value"] as const) {
      const message = `Cannot use ${path.join(".")} as it is bad; current value is ${
        JSON.stringify(value)?.slice(0, 70)
      }`;
      found.push(source.diagnose({ severity: "warning", path, message, at }));
    }
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) visit(inner, [...path, Array.isArray(value) ? Number(key) : key]);
  };
  visit(source.value, []);
  return found;
}

Deno.test("Source shows no part of a secret in a file with a syntax error elsewhere", () => {
  const damage = fc.constantFrom(
    "",
    " ",
    "\n",
    "\t",
    ":",
    ": ",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "|",
    "&",
    "*",
    "!",
    "- ",
    "@",
    ",",
    "\\",
    "\n\n",
    "%",
    "\u0000",
  );
  const forms = fc.array(
    // Where a secret's only mark is an alias, a comment or a map around it, damage can take the mark away.
    fc.constantFrom(
      ...FORMS.filter((form) => !/\*a|user:|b:|^#/.test(form)),
      "port: 8000\n",
      "checks:\n  http: {rise: 1}\n",
      "list:\n  - a\n  - b\n",
    ),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(forms, fc.array(fc.tuple(fc.nat(), damage, fc.boolean()), { maxLength: 4 }), (parts, damages) => {
      let text = parts.join("");
      for (const [where, what, remove] of damages) {
        const at = where % (text.length + 1);
        if (isKept(text, at, remove)) continue;
        text = text.slice(0, at) + what + text.slice(remove ? at + 1 : at);
      }
      fc.pre(!/S["']?\s*:/.test(text));
      // What can still be parsed means what it says, even if it no longer says that this is a secret.
      assert.doesNotMatch(shownOf(read(text.replaceAll("S", HIDDEN))), /Hunter|Zebra|Quokka/, JSON.stringify(text));
    }),
    { numRuns: 2_000 },
  );
});

/** Whether damage at an offset would spoil a word or an address: then nothing shows any more that there is a secret. */
function isKept(text: string, at: number, remove: boolean): boolean {
  return [...text.matchAll(/\w+:\/\/(?:me:)?S@host|[\w=]+(?: [\w=:]+)*/g)].some(({ index, 0: { length } }) =>
    index < at + (remove ? 1 : 0) && at < index + length
  );
}

Deno.test("Source never throws, and points inside the file, for any bytes", () => {
  const yamlish = fc.array(
    fc.constantFrom(
      ..."ab:: -[]{}\"'|>&*!#%@,?\n\n\t<\\~0",
      "a: ",
      "\n  ",
      "<<: *a",
      "\uFEFF",
      "\r\n",
      "é",
      "👍",
      "---\n",
      "...\n",
    ),
    { maxLength: 60 },
  )
    .map((parts) => new TextEncoder().encode(parts.join("")));
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), yamlish, yamlish);
  fc.assert(
    fc.property(bytes, (input) => {
      const source = new Source("f", input);
      const lines = new TextDecoder().decode(input).split("\n");
      for (const { line = 0, column = 0, excerpt } of [...source.problems, ...everyPlace(source)]) {
        assert.ok(line >= 1 && line <= lines.length, `line ${line} of ${lines.length}`);
        assert.ok(column >= 1 && column <= [...lines[line - 1] ?? ""].length + 1, `column ${column}`);
        assert.ok(excerpt !== undefined && excerpt.caret <= 100);
      }
      assert.equal(source.value === undefined, source.problems.length > 0);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("Source.holds() distinguishes its own bytes from others", () => {
  const source = read("a: 1\n");
  assert.ok(source.holds(new TextEncoder().encode("a: 1\n")));
  assert.ok(!source.holds(new TextEncoder().encode("a: 2\n")));
  assert.ok(!source.holds(new TextEncoder().encode("a: 1")));
});
