import assert from "node:assert/strict";
import { parseModule } from "../../workers/parse.ts";
import { flatten } from "./flatten.ts";
import { gather, regather } from "./gather.ts";
import { GRAPH_BYTES_MAX, MODULE_BYTES_MAX, MODULES_MAX, PluginFault } from "./graph.ts";

const parse = (path: string, text: string) => Promise.resolve(parseModule(path, text));

/** Gathers from sources by path; the first is the entry. */
function gatherFrom(texts: Readonly<Record<string, string>>) {
  const read = (path: string) =>
    Object.hasOwn(texts, path) ? Promise.resolve(texts[path] ?? "") : Promise.reject(new PluginFault(`no ${path}`));
  return gather(Object.keys(texts)[0] ?? "", { read, parse });
}

/** Loads a flattened module the way a worker does. */
async function load(texts: Readonly<Record<string, string>>): Promise<unknown> {
  const { parsed } = await gatherFrom(texts);
  return (await import(flatten(parsed, { label: "check/x" }))).default;
}

Deno.test("gather() reads each module once, and skips type imports", async () => {
  const { graph, parsed } = await gatherFrom({
    "mod.ts": `import type { A } from "lighthouse"; import "./a.ts"; import { b } from "./b.ts"; export { b };`,
    "b.ts": `import "./a.ts"; import type { B } from "./types.ts"; export const b: B = 1;`,
    "a.ts": "",
  });
  assert.deepEqual([...graph.modules.keys()].toSorted(), ["a.ts", "b.ts", "mod.ts"]);
  assert.deepEqual([...parsed.modules.keys()].toSorted(), ["a.ts", "b.ts", "mod.ts"]);
  const again = await regather(graph, { parse });
  assert.deepEqual(again.graph.modules, graph.modules);
});

Deno.test("gather() reports the position of a forbidden import", async () =>
  await assert.rejects(
    gatherFrom({ "mod.ts": 'import "./a.ts";', "a.ts": '\n  import fs from "node:fs";' }),
    /^PluginFault: a\.ts:2:18: Cannot import "node:fs": /,
  ));

Deno.test("gather() rejects too many modules and too many bytes", async () => {
  const chain = Array.from({ length: MODULES_MAX + 1 }, (_, i) => [`m${i}.ts`, `import "./m${i + 1}.ts";`]);
  await assert.rejects(gatherFrom(Object.fromEntries(chain)), /more than 100 modules/);
  const many = Array.from({ length: GRAPH_BYTES_MAX / MODULE_BYTES_MAX + 1 }, (_, i) => `big${i}.js`);
  const big = many.map((path) => [path, `/*${" ".repeat(MODULE_BYTES_MAX - 4)}*/`]);
  await assert.rejects(
    gatherFrom({ "mod.ts": many.map((path) => `import "./${path}";`).join("\n"), ...Object.fromEntries(big) }),
    /larger than 4194304 bytes/,
  );
});

Deno.test("gather() aborts other reads when one module cannot be read", async () => {
  const texts: Record<string, string> = { "mod.ts": 'import "./never.ts"; import "./none.ts";' };
  let isAborted = false;
  const read = (path: string, signal: AbortSignal) => {
    if (path === "none.ts") return Promise.reject(new PluginFault("no none.ts"));
    if (path !== "never.ts") return Promise.resolve(texts[path] ?? "");
    return new Promise<string>((_, reject) =>
      signal.addEventListener("abort", () => {
        isAborted = true;
        reject(signal.reason);
      })
    );
  };
  await assert.rejects(gather("mod.ts", { read, parse }), /no none\.ts/);
  assert.ok(isAborted);
});

Deno.test("flatten() makes one module that loads, with types stripped and each module evaluated once", async () => {
  assert.equal(await load({ "mod.ts": "export default 42 as number;" }), 42);
  const texts = {
    "mod.ts": `import { count, up } from "./lib/count.ts"; import * as b from "../b.js";
      const { late } = await import("./late.ts"); up(); export default [count, b.seen, late, 'quoted "./b.js"'];`,
    "lib/count.ts": "export let count: number = 0; export function up(): void { count++; }",
    "../b.js": `export { count as seen } from "./plugin-dir/lib/count.ts";`,
    "../plugin-dir/lib/count.ts": `export const count = "another";`,
    "late.ts": `import { up } from './lib/count.ts'; up(); export const late = "ünï";`,
  };
  assert.deepEqual(await load(texts), [2, "another", "ünï", 'quoted "./b.js"']);
});

Deno.test("flatten() keeps source positions, and names the module of a missing export", async () => {
  const texts = { "mod.ts": `import "./lib/a.ts";`, "lib/a.ts": `type A = string;\n  throw new Error("here" as A);` };
  await assert.rejects(load(texts), (error) => /:2:9/.test((error as Error).stack ?? ""));
  await assert.rejects(load({ "mod.ts": `type A = 1;\n  import { b } from "./a.ts"; b;`, "a.ts": "" }), (error) => {
    assert.match(String(error), /an export named 'b' at plugin:check\/x\/mod\.ts:2:12/);
    return true;
  });
});

Deno.test("flatten() returns the same for the same modules, each text once", async () => {
  const diamond = {
    "mod.ts": 'import "./a.ts"; import "./b.ts"; export default 1;',
    "a.ts": 'import "./c.ts";',
    "b.ts": 'import "./c.ts";',
    "c.ts": "'unique text';",
  };
  const [first, second] = await Promise.all([gatherFrom(diamond), gatherFrom(diamond)]);
  const module = flatten(first.parsed, { label: "x" });
  assert.equal(module, flatten(second.parsed, { label: "x" }));
  assert.equal(decodeURIComponent(module).split("unique text").length, 2);
});

Deno.test("gather() reads nothing outside of the entry's folder for a file plugin", async () => {
  const read: string[] = [];
  const gathering = gather("mod.ts", {
    read: (path) => {
      read.push(path);
      return Promise.resolve(path);
    },
    parse: () =>
      Promise.resolve({
        code: "",
        imports: [{ specifier: "./lib/../../elsewhere/settings.ts", start: 0, end: 1, line: 2, column: 3 }],
      }),
    mayLeave: false,
  });
  await assert.rejects(
    gathering,
    /^PluginFault: mod\.ts:2:3: Cannot import .*: must be a module in or below the directory of the plugin's entry$/,
  );
  assert.deepEqual(read, ["mod.ts"]);
});
