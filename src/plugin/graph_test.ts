import assert from "node:assert/strict";
import type { ParsedModule } from "./graph.ts";
import { hasModuleEnding, loadOrder, type ParsedGraph, PluginFault, resolveImport } from "./graph.ts";

/** Modules that import one another, without their code. */
function graphOf(imports: Readonly<Record<string, readonly string[]>>): ParsedGraph {
  const modules = Object.entries(imports).map(([path, specifiers]): readonly [string, ParsedModule] => [path, {
    code: "",
    imports: specifiers.map((specifier) => ({ specifier, start: 0, end: 0, line: 1, column: 1 })),
  }]);
  return { entry: modules[0]?.[0] ?? "", modules: new Map(modules) };
}

Deno.test.each([
  { from: "mod.ts", specifier: "./a.ts", path: "a.ts" },
  { from: "mod.ts", specifier: "./lib/a.ts", path: "lib/a.ts" },
  { from: "lib/a.ts", specifier: "./b.js", path: "lib/b.js" },
  { from: "lib/a.ts", specifier: "../mod.mts", path: "mod.mts" },
  { from: "mod.ts", specifier: "../shared/x.ts", path: "../shared/x.ts" },
  { from: "../shared/x.ts", specifier: "./../shared//y.mjs", path: "../shared/y.mjs" },
  { from: "../shared/x.ts", specifier: "../../up.ts", path: "../../up.ts" },
  { from: "mod.ts", specifier: "./a/../b/./c.ts", path: "b/c.ts" },
  { from: "my%20mod.ts", specifier: "./a.ts", path: "a.ts" },
])(
  "resolveImport() resolves $specifier of $from to $path",
  ({ from, specifier, path }) => assert.equal(resolveImport(from, specifier), path),
);

Deno.test.each([
  "npm:left-pad",
  "node:fs",
  "jsr:@std/assert",
  "lighthouse",
  "https://example.com/a.ts",
  "http://127.0.0.1/a.ts",
  "//example.com/a.ts",
  "file:///etc/a.ts",
  "/a.ts",
  "data:text/javascript,1",
  "blob:null/1",
  "",
  ".",
  "..",
  "#a.ts",
].map((specifier) => ({ specifier })))(
  "resolveImport() rejects '$specifier', which is not relative",
  ({ specifier }) =>
    assert.throws(
      () => resolveImport("mod.ts", specifier),
      (error) =>
        error instanceof PluginFault && /a plugin may import only its own relative modules/.test(error.message),
    ),
);

Deno.test.each(
  ["./a%2e.ts", "./a.ts?x", "./a.ts#x", "./a b.ts", "./a\\b.ts", "./a\n.ts", "./ä.ts", "./%2e%2e/a.ts"].map((
    specifier,
  ) => ({
    specifier,
  })),
)(
  "resolveImport() rejects '$specifier', which is ambiguous",
  ({ specifier }) => assert.throws(() => resolveImport("mod.ts", specifier), /letters, digits and/),
);

Deno.test("resolveImport() rejects names that are neither TypeScript nor JavaScript", () => {
  for (const specifier of ["./a", "./a.json", "./a.wasm", "./a.tsx", "./a/", "./.ts", "./a.d"]) {
    assert.throws(() => resolveImport("mod.ts", specifier), /its name must end in/, specifier);
  }
  assert.ok(["a.ts", "a.mts", "a.js", "b/a.mjs", "a.d.ts"].every(hasModuleEnding));
});

Deno.test("loadOrder() puts each module once, after all that it imports", () => {
  const diamond = graphOf({
    "mod.ts": ["./b.ts", "./c.ts"],
    "b.ts": ["./lib/d.ts"],
    "c.ts": ["./lib/d.ts", "./b.ts"],
    "lib/d.ts": [],
  });
  assert.deepEqual(loadOrder(diamond), ["lib/d.ts", "b.ts", "c.ts", "mod.ts"]);
});

Deno.test("loadOrder() names the cycle of imports", () => {
  const circle = graphOf({ "mod.ts": ["./a.ts"], "a.ts": ["./b.ts"], "b.ts": ["./a.ts"] });
  assert.throws(() => loadOrder(circle), /cyclic imports: a\.ts imports b\.ts imports a\.ts$/);
  assert.throws(() => loadOrder(graphOf({ "mod.ts": ["./mod.ts"] })), /mod\.ts imports mod\.ts$/);
});
