import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { defaultCacheDir, PluginCache } from "./cache.ts";
import { hashGraph } from "./hash.ts";

const GRAPH = { entry: "mod.ts", modules: new Map([["mod.ts", "\uFEFFexport default 'ä';"], ["a.ts", ""]]) };
const HASH = await hashGraph(GRAPH);

Deno.test("PluginCache returns what was stored, to any number of users of its directory", async () => {
  await using dir = new TempDir("lighthouse-cache-");
  const caches = Array.from({ length: 8 }, () => new PluginCache(`${dir.path}/deep/er`));
  assert.equal(await caches[0]?.get(HASH), undefined);
  await Promise.all(caches.map((cache) => cache.put(HASH, GRAPH)));
  for (const cache of caches) assert.deepEqual(await cache.get(HASH), GRAPH);
  const files = await Array.fromAsync(Deno.readDir(`${dir.path}/deep/er/plugins`), ({ name }) => name);
  assert.deepEqual(files, [`${HASH}.json`]);
});

Deno.test.each([
  { what: "was changed", contents: { format: 1, entry: "mod.ts", modules: [["mod.ts", "export default 'evil';"]] } },
  { what: "is of another form", contents: { format: 2, entry: "mod.ts", modules: [...GRAPH.modules] } },
  { what: "has another entry", contents: { format: 1, entry: "a.ts", modules: [...GRAPH.modules] } },
  { what: "has no modules", contents: { format: 1, entry: "mod.ts" } },
  { what: "is empty", contents: "" },
  { what: "is half written", contents: '{"format":1,"entry":"mod.ts","mod' },
])("PluginCache does not return a file that $what", async ({ contents }) => {
  await using dir = new TempDir("lighthouse-cache-");
  const text = typeof contents === "string" ? contents : JSON.stringify(contents);
  await dir.write(`plugins/${HASH}.json`, text);
  assert.equal(await new PluginCache(dir.path).get(HASH), undefined);
});

Deno.test("PluginCache does not confuse a lone surrogate with its replacement in UTF-8", async () => {
  await using dir = new TempDir("lighthouse-cache-");
  const modules = new Map([["mod.ts", "'\uFFFD'"]]);
  const hash = await hashGraph({ entry: "mod.ts", modules });
  await dir.write(`plugins/${hash}.json`, '{"format":1,"entry":"mod.ts","modules":[["mod.ts","\'\\ud800\'"]]}');
  assert.equal(await new PluginCache(dir.path).get(hash), undefined);
});

Deno.test("PluginCache throws when it cannot store something, and leaves nothing behind", async () => {
  await using dir = new TempDir("lighthouse-cache-");
  await dir.write("plugins", "a file in its way");
  await assert.rejects(new PluginCache(dir.path).put(HASH, GRAPH));
});

Deno.test.each([
  { given: { CACHE_DIRECTORY: "/var/cache/a:/b", XDG_CACHE_HOME: "/x", HOME: "/h" }, dir: "/var/cache/a" },
  { given: { XDG_CACHE_HOME: "/x/", HOME: "/h" }, dir: "/x/lighthouse" },
  { given: { XDG_CACHE_HOME: "relative", HOME: "/h" }, dir: "/h/.cache/lighthouse" },
  { given: { HOME: "/" }, dir: "/var/cache/lighthouse" },
  { given: {}, dir: "/var/cache/lighthouse" },
])(
  "defaultCacheDir() returns $dir",
  ({ given, dir }) => assert.equal(defaultCacheDir((name) => (given as Record<string, string>)[name]), dir),
);

Deno.test("PluginCache remembers that a plugin hung, until the file is removed", async () => {
  await using dir = new TempDir("lighthouse-cache-");
  const cache = new PluginCache(`${dir.path}/deep`);
  assert.equal(await cache.hung(HASH), undefined);
  cache.noteHung(HASH, "late");
  cache.noteHung(HASH, "no answer");
  assert.equal(await new PluginCache(cache.dir).hung(HASH), "no answer");
  await Deno.remove(cache.hungFile(HASH));
  assert.equal(await cache.hung(HASH), undefined);
});
