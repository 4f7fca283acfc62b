import assert from "node:assert/strict";
import { parse } from "yaml";
import { addEntry, changeEntry } from "./plugins_file.ts";

const HASH = "0123456789abcdef".repeat(4);
const ENTRY = { section: "checks", name: "memcached", url: "https://x/mod.ts", sha256: HASH } as const;
const ADDED = `  memcached:
    url: https://x/mod.ts
    sha256: ${HASH}
    allow: { net: [ "{target}" ] }
`;

Deno.test.each([
  { what: "an empty file", text: "", then: `checks:\n${ADDED}` },
  { what: "a file of comments", text: "# mine\n", then: `# mine\n\nchecks:\n${ADDED}` },
  { what: "an empty map", text: "{}\n", then: `checks:\n${ADDED}` },
  { what: "an empty section", text: "checks:\ndiscovery: {}\n", then: `checks:\n${ADDED}discovery: {}\n` },
  {
    what: "a section, with all its comments",
    text: "# top\nchecks:\n  # first\n  a:\n    url: './a.ts' # why\n\n# end\ndiscovery: {}\n",
    then: `# top\nchecks:\n  # first\n  a:\n    url: './a.ts' # why\n${ADDED}\n# end\ndiscovery: {}\n`,
  },
])(
  "addEntry() adds to $what",
  ({ text, then }) => assert.equal(addEntry(text, { ...ENTRY, allow: { net: ["{target}"] } }), then),
);

Deno.test("addEntry() writes the given values, and nothing else", () => {
  const entry = { section: "discovery", name: "consul", url: "./plugins/consul.ts" } as const;
  assert.equal(addEntry("", entry), "discovery:\n  consul:\n    url: ./plugins/consul.ts\n");
  assert.deepEqual(parse(addEntry("", { ...entry, insecure: true, sha256: "1".repeat(64) })), {
    discovery: { consul: { url: "./plugins/consul.ts", insecure: true, sha256: "1".repeat(64) } },
  });
});

Deno.test("changeEntry() changes the hash and the address, and no other byte", () => {
  const text =
    "checks:\n    memcached:   # mine\n        url:  'https://x/1.ts'  # here\n        sha256:   abc   # old\n";
  assert.equal(
    changeEntry(text, { ...ENTRY, url: "https://x/2.ts" }),
    text.replace("'https://x/1.ts'", "https://x/2.ts").replace("abc", HASH),
  );
});

Deno.test("changeEntry() adds a missing hash", () => {
  const text = "checks:\n  memcached:\n    url: ./x.ts # here\n";
  assert.equal(
    changeEntry(text, { section: "checks", name: "memcached", sha256: HASH }),
    `${text}    sha256: ${HASH}\n`,
  );
});

Deno.test("changeEntry() quotes a value that could be read as a number", () => {
  for (const sha256 of ["1".repeat(64), `${"1".repeat(30)}e${"2".repeat(33)}`]) {
    const text = changeEntry("checks: { memcached: { url: x, sha256: abc } }\n", { ...ENTRY, url: "a b#c: d", sha256 });
    assert.deepEqual(parse(text), { checks: { memcached: { url: "a b#c: d", sha256 } } });
  }
});
