/**
 * A third-party plugin runs only the code of its modules: whatever it does to
 * load more is denied, and other workers are unaffected.
 *
 * @module
 */
import assert from "node:assert/strict";
import { TASK_ARGS } from "../support/lighthouse.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { liveWorkerCount, PluginHost } from "../../src/supervisor/plugin_host.ts";
import { dataModule } from "../support/plugin_source.ts";

/** Runs code as a plugin is loaded; returns the outcome. */
async function runInPlugin(code: string): Promise<string> {
  const module = dataModule(`
    const said = await (async () => { ${code} })().catch((error) => "failed: " + error.message);
    throw new Error(String(said));`);
  await using host = new PluginHost({ name: "sealed", module, permissions: "none", clock: systemClock });
  return await host.loaded().then(
    () => "loaded",
    (error) => error.message.replace("cannot load the plugin: ", ""),
  );
}

Deno.test.afterEach(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));

const IMPORT = "import('npm:nobody-has-this-in-a-lock-file')";

Deno.test.each([
  {
    what: "eval",
    code: `return await eval("${IMPORT}")`,
    said: /^failed: Cannot evaluate a string as code in a plugin/,
  },
  {
    what: "an indirect eval",
    code: `return await (0, eval)("${IMPORT}")`,
    said: /^failed: Cannot evaluate a string as code/,
  },
  {
    what: "Function",
    code: `return await new Function("return ${IMPORT}")()`,
    said: /^failed: Cannot evaluate a string as code/,
  },
  {
    what: "a function's constructor",
    code: `return (() => {}).constructor("return 1")()`,
    said: /^failed: Cannot evaluate a string as code/,
  },
  {
    what: "a class's constructor",
    code: `return (class {}).constructor("return 1")()`,
    said: /^failed: Cannot evaluate a string as code/,
  },
  {
    what: "an async function's",
    code: `return (async () => {}).constructor("1")()`,
    said: /^failed: Cannot evaluate a string as code/,
  },
  {
    what: "a generator's",
    code: `return (function* () {}).constructor("1")()`,
    said: /^failed: Cannot evaluate a string as code/,
  },
  { what: "an async generator's", code: `return (async function* () {}).constructor("1")()`, said: /^failed: Cannot/ },
  {
    what: "the constructor of one of Deno's functions",
    code: `return Deno.connect.constructor("return 1")()`,
    said: /^failed: Cannot evaluate/,
  },
  { what: "a string for a timer", code: `setTimeout("1"); return "taken"`, said: /^failed: / },
  {
    what: "a worker",
    code: `return new Worker("data:text/javascript,1", { type: "module" })`,
    said: /^failed: Worker is not/,
  },
  {
    what: "Node's modules",
    code: `return process.getBuiltinModule("node:vm")`,
    said: /^failed: process is not defined$/,
  },
  { what: "Deno's internals", code: `return typeof Deno[Deno.internal]`, said: /^undefined$/ },
])("a plugin cannot load code through $what", async ({ code, said }) => {
  assert.match(await runInPlugin(code), said);
  assert.equal(await runInPlugin("return 'the next one runs'"), "the next one runs");
});

Deno.test("a plugin keeps the functions it needs", async () => {
  const code = `return [
    (() => {}) instanceof Function,
    new TextDecoder().decode(new TextEncoder().encode(new URL("http://a/").href)),
    (await crypto.subtle.digest("SHA-256", new Uint8Array(1))).byteLength,
    await (await fetch("data:text/plain,hi")).text(),
    structuredClone({ a: 1 }).a,
  ].join()`;
  assert.equal(await runInPlugin(code), "true,http://a/,32,hi,1");
});

Deno.test("boundOpen() limits open resources, and lets a plugin run where Deno does not list them", async () => {
  const module = new URL("../../workers/open_bound.ts", import.meta.url);
  const program = `import { boundOpen } from ${JSON.stringify(module)};
    const { internal, ...others } = Deno;
    Object.defineProperty(globalThis, "Deno", { value: others });
    const { deno, countOpen } = boundOpen(2);
    const opened = [1, 2, 3].map(() => deno.openSync.value("/dev/null"));
    const opening = await Promise.allSettled([1, 2, 3].map(() => deno.open.value("/dev/null")));
    console.log(countOpen(), opened.length, opening.map(({ reason }) => reason?.code ?? "open").join());`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...TASK_ARGS, `data:text/javascript,${encodeURIComponent(program)}`],
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "undefined 3 open,open,ELIMIT\n", new TextDecoder().decode(stderr));
});
