import assert from "node:assert/strict";
import { parseModule } from "./parse.ts";

/** The specifiers of the remaining imports. */
function importsOf(text: string, path = "mod.ts"): readonly string[] {
  return parseModule(path, text).imports.map(({ specifier }) => specifier);
}

Deno.test.each([
  { what: "a default import", text: `import a from "./a.ts"; a();`, imports: ["./a.ts"] },
  { what: "an import of names", text: `import { a, type B } from "./a.ts";`, imports: ["./a.ts"] },
  { what: "an import for its side effect", text: `import "./a.ts";`, imports: ["./a.ts"] },
  { what: "a re-export", text: `export { a } from "./a.ts"; export * from './b.ts';`, imports: ["./a.ts", "./b.ts"] },
  { what: "a dynamic import", text: `const a = await import("./a.ts");`, imports: ["./a.ts"] },
  {
    what: "a dynamic import far down",
    text: `class A { async b() { return { c: [await import("./a.ts")] }; } }`,
    imports: ["./a.ts"],
  },
  { what: "no type import", text: `import type { A } from "lighthouse"; export type { A };`, imports: [] },
  { what: "no import in a type", text: `export const a: import("npm:x").Y = 1 as never;`, imports: [] },
  {
    what: "no import in a string or a comment",
    text: "const a = `import \"./a.ts\"`; // import './b.ts'\n/* import('./c.ts') */ const r = /import('.\\/d.ts')/;",
    imports: [],
  },
])("parseModule() finds $what", ({ text, imports }) => assert.deepEqual(importsOf(text), imports));

Deno.test("parseModule() replaces types by spaces, and keeps all other positions", () => {
  const text = 'import { a } from "./a.ts";\nexport const b: number = a<string>(1) as number satisfies number;\n';
  const { code, imports } = parseModule("mod.ts", text);
  assert.equal(code.length, text.length);
  assert.equal(code.replaceAll(/ +/g, " "), 'import { a } from "./a.ts";\nexport const b = a (1) ;\n');
  assert.deepEqual(imports, [{ specifier: "./a.ts", start: 18, end: 26, line: 1, column: 19 }]);
  assert.equal(code.slice(18, 26), '"./a.ts"');
});

Deno.test("parseModule() leaves JavaScript unchanged", () => {
  for (const path of ["mod.js", "mod.mjs"]) {
    const text = 'import a from "./a.js"; export default await a;';
    assert.equal(parseModule(path, text).code, text);
  }
});

Deno.test.each([
  { what: "HTML", text: "<!doctype html>", fault: /^SyntaxError: 1:2: / },
  { what: "invalid JavaScript", path: "mod.js", text: "const a = ;", fault: /^SyntaxError: 1:11: / },
  { what: "types in JavaScript", path: "mod.js", text: "const a: number = 1;", fault: /^SyntaxError: 1:8: / },
  { what: "an enum", text: "export enum A { x }", fault: /^SyntaxError: 1:8: TypeScript enum is not supported/ },
  { what: "a computed import", text: "\nawait import('n' + 'pm:x');", fault: /^SyntaxError: 2:14: .* string literal$/ },
  { what: "a template as an import", text: "await import(`./a.ts`);", fault: /string literal$/ },
  {
    what: "an import of JSON",
    text: `import a from "./a.json" with { type: "json" };`,
    fault: /^SyntaxError: 1:15: .* only code can be imported$/,
  },
  { what: "a dynamic import of JSON", text: `import("./a.json", { with: {} })`, fault: /only code can be imported$/ },
])("parseModule() rejects $what with line and column", ({ path = "mod.ts", text, fault }) => {
  assert.throws(() => parseModule(path, text), (error) => fault.test(String(error)) || assert.fail(String(error)));
});
