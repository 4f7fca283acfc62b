import assert from "node:assert/strict";
import fc from "fast-check";
import { FILTERS, haproxyWord, nginxString, shellWord } from "./filters.ts";

/** Strings that try to break out: quotes, comments, line ends, braces, variables. */
const HOSTILE = fc.string({
  unit: fc.constantFrom("a", " ", "'", '"', "\\", "#", "$", "{", "}", ";", "\n", "\r", "\t", "\0", "%", "é", "\u2028"),
  maxLength: 12,
});

/** Splits a line as HAProxy does: quotes, backslashes, comments. */
function haproxyWords(line: string): readonly string[] {
  const words: string[] = [];
  let [word, isWord, quote] = ["", false, ""];
  for (let i = 0; i < line.length; i++) {
    const c = line[i] ?? "";
    if (quote === "'" ? c === "'" : quote === '"' && c === '"') quote = "";
    else if (quote === "'") word += c;
    else if (c === "'" || (c === '"' && quote === "")) [quote, isWord] = [c, true];
    else if (c === "\\") [word, isWord] = [word + (line[++i] ?? ""), true];
    else if (c === "#" && quote === "") break;
    else if (/\s/.test(c) && quote === "") {
      if (isWord) words.push(word);
      [word, isWord] = ["", false];
    } else [word, isWord] = [word + c, true];
  }
  assert.equal(quote, "", "no quote stays open");
  return isWord ? [...words, word] : words;
}

/** Splits a directive as nginx does. */
function nginxWords(text: string): readonly string[] {
  const words: string[] = [];
  let i = 0;
  while (i < text.length) {
    const c = text[i] ?? "";
    if (/\s/.test(c)) {
      i++;
      continue;
    }
    assert.doesNotMatch(c, /[;{}#]/, "nothing ends the directive, and nothing is a comment");
    let word = "";
    if (c === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) {
        if (text[i] === "\\" && /["'\\]/.test(text[i + 1] ?? "")) i++;
        word += text[i];
      }
      assert.equal(text[i++], '"', "no quote stays open");
    } else while (i < text.length && /[^\s;{}]/.test(text[i] ?? "")) word += text[i++];
    words.push(word);
  }
  return words;
}

Deno.test("haproxy writes any string as one word of a line, or rejects it", () => {
  fc.assert(
    fc.property(HOSTILE, (text) => {
      let written: string;
      try {
        written = haproxyWord(text);
      } catch (error) {
        assert.match(text, /[\p{Cc}\u2028\u2029]/u);
        return assert.match(String(error), /control characters/);
      }
      assert.deepEqual(haproxyWords(`acl x str ${written} end`), ["acl", "x", "str", text, "end"]);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("nginx writes any string as one word of a directive, or rejects it", () => {
  fc.assert(
    fc.property(HOSTILE, (text) => {
      let written: string;
      try {
        written = nginxString(text);
      } catch (error) {
        assert.match(text, /[$\p{Cc}\u2028\u2029]/u);
        return assert.match(String(error), /control characters|starts a variable/);
      }
      assert.deepEqual(nginxWords(`return 200 ${written} end`), ["return", "200", text, "end"]);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("shell writes any string as one word of a command line", () => {
  for (const text of ["a b", "it's", "$(x)", "`x`", "a\nb", "\\"]) {
    assert.match(shellWord(text), /^'(?:[^']|'\\'')*'$/);
    assert.equal(shellWord(text).slice(1, -1).replaceAll("'\\''", "'"), text);
  }
  assert.throws(() => shellWord("a\0b"), /NUL/);
});

Deno.test.each([
  { filter: "address_host", given: ["10.0.0.1:80"], is: "10.0.0.1" },
  { filter: "address_host", given: ["[2001:db8::1]:80"], is: "2001:db8::1" },
  { filter: "address_port", given: ["10.0.0.1:80"], is: 80 },
  { filter: "bracketed", given: ["2001:db8::1"], is: "[2001:db8::1]" },
  { filter: "bracketed", given: ["10.0.0.1"], is: "10.0.0.1" },
  { filter: "basename", given: ["/a/b/"], is: "b" },
  { filter: "dirname", given: ["/a/b"], is: "/a" },
  { filter: "dirname", given: ["/a"], is: "/" },
  { filter: "parse_json", given: ['{"a":[1]}'], is: { a: [1] } },
  { filter: "integer", given: ["-7"], is: -7 },
  { filter: "sequence", given: [2, 4], is: [2, 3, 4] },
])(
  "$filter of $given",
  ({ filter, given: [value, ...more], is }) => assert.deepEqual(FILTERS[filter]?.(value, ...more), is),
);

Deno.test.each([
  { filter: "address_host", given: ["10.0.0.1"], fault: /must be ADDRESS:PORT/ },
  { filter: "parse_json", given: ["{"], fault: /as JSON/ },
  { filter: "integer", given: ["1.5"], fault: /as an integer/ },
  { filter: "sequence", given: [1, 1_000_000], fault: /at most 10000/ },
  { filter: "get", given: ["text", "/a"], fault: /must be the keys of a registry/ },
])(
  "$filter rejects $given",
  ({ filter, given: [value, ...more], fault }) => assert.throws(() => FILTERS[filter]?.(value, ...more), fault),
);
