/**
 * A plugin that does not ship runs what is in its modules, and nothing else:
 * whatever it does to bring in more is refused, and other workers go on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { TASK_ARGS } from "../support/lighthouse.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { liveWorkerCount, PluginHost } from "../../src/supervisor/plugin_host.ts";
import { dataModule } from "../support/plugin_source.ts";

/** Runs code as a plugin is loaded; answers what it came to. */
async function runInPlugin(code: string): Promise<string> {
  const module = dataModule(`
    const said = await (async () => { ${code} })().catch((error) => "refused: " + error.message);
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
    said: /^refused: Cannot make code from a string in a plugin/,
  },
  { what: "an indirect eval", code: `return await (0, eval)("${IMPORT}")`, said: /^refused: Cannot make code/ },
  { what: "Function", code: `return await new Function("return ${IMPORT}")()`, said: /^refused: Cannot make code/ },
  {
    what: "a function's maker",
    code: `return (() => {}).constructor("return 1")()`,
    said: /^refused: Cannot make code/,
  },
  { what: "a class's maker", code: `return (class {}).constructor("return 1")()`, said: /^refused: Cannot make code/ },
  {
    what: "an async function's",
    code: `return (async () => {}).constructor("1")()`,
    said: /^refused: Cannot make code/,
  },
  { what: "a generator's", code: `return (function* () {}).constructor("1")()`, said: /^refused: Cannot make code/ },
  { what: "an async generator's", code: `return (async function* () {}).constructor("1")()`, said: /^refused: Cannot/ },
  {
    what: "that of a function of Deno",
    code: `return Deno.connect.constructor("return 1")()`,
    said: /^refused: Cannot make/,
  },
  { what: "a text for a timer", code: `setTimeout("1"); return "taken"`, said: /^refused: / },
  {
    what: "a worker",
    code: `return new Worker("data:text/javascript,1", { type: "module" })`,
    said: /^refused: Worker is not/,
  },
  {
    what: "Node's modules",
    code: `return process.getBuiltinModule("node:vm")`,
    said: /^refused: process is not defined$/,
  },
  { what: "the inside of Deno", code: `return typeof Deno[Deno.internal]`, said: /^undefined$/ },
])("a plugin cannot bring in code by $what", async ({ code, said }) => {
  assert.match(await runInPlugin(code), said);
  assert.equal(await runInPlugin("return 'the next one runs'"), "the next one runs");
});

Deno.test("a plugin keeps what it needs", async () => {
  const code = `return [
    (() => {}) instanceof Function,
    new TextDecoder().decode(new TextEncoder().encode(new URL("http://a/").href)),
    (await crypto.subtle.digest("SHA-256", new Uint8Array(1))).byteLength,
    await (await fetch("data:text/plain,hi")).text(),
    structuredClone({ a: 1 }).a,
  ].join()`;
  assert.equal(await runInPlugin(code), "true,http://a/,32,hi,1");
});

Deno.test("boundOpen() bounds what is being opened, and lets a plugin run, where Deno does not list what is open", async () => {
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
