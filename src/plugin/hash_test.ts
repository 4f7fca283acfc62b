import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { hashGraph } from "./hash.ts";

const MODULES: readonly (readonly [string, string])[] = [
  ["mod.ts", 'import "./lib/a.ts";\n'],
  ["lib/a.ts", "export {};\n"],
  ["a.ts", "\uFEFFexport const a = 'ä';\n"],
];
const HASH = "7504a57072e5ee8a94376e68008bc2ec3f8203776e0a3f420f79b5ea84a1794f";

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

Deno.test("hashGraph() is the hash of the output of sha256sum, the entry first and the rest by path", async () => {
  const [mod, lib, a] = MODULES.map(([path, text]) => `${sha256(text)}  ${path}\n`);
  const hash = await hashGraph({ entry: "mod.ts", modules: new Map(MODULES) });
  assert.equal(hash, sha256(`${mod}${a}${lib}`));
  // A fixed value: hashes in existing configs must stay valid.
  assert.equal(hash, HASH);
});

Deno.test("hashGraph() does not depend on the order of reading", async () =>
  assert.equal(await hashGraph({ entry: "mod.ts", modules: new Map(MODULES.toReversed()) }), HASH));

Deno.test("hashGraph() changes with every text, every path and the entry", async () => {
  const [first, ...rest] = MODULES as [readonly [string, string], ...(readonly [string, string])[]];
  const others = [
    { entry: "mod.ts", modules: new Map([[first[0], `${first[1]} `], ...rest]) },
    { entry: "mod.js", modules: new Map([["mod.js", first[1]], ...rest]) },
    { entry: "a.ts", modules: new Map(MODULES) },
    { entry: "mod.ts", modules: new Map([first]) },
  ];
  const hashes = await Promise.all(others.map(hashGraph));
  assert.equal(new Set([...hashes, HASH]).size, 5);
});
