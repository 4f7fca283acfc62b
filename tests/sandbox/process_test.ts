/**
 * What a plugin from elsewhere does to its process: nothing it can reach ends
 * the process, blocks it, or writes to its output.
 *
 * @module
 */
import assert from "node:assert/strict";
import { TASK_ARGS } from "../support/lighthouse.ts";
import { isSilent, ScriptedServer } from "../support/scripted_server.ts";
import { checkModule } from "../support/plugin_source.ts";

/** The result of a process that ran a module. */
interface Fate {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a module in a process of its own. */
async function runAlone(module: string, target: string, programs: readonly string[] = []): Promise<Fate> {
  const main = new URL("../support/attacked.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: [...TASK_ARGS, main, target, ...programs],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${module}\n`)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out ?? "", stderr: err ?? "" };
}

/** Each field of an option in Deno's own type declarations that has values by name, with all of them. */
async function optionValues(): Promise<Readonly<Record<string, readonly string[]>>> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["types"], env: { NO_COLOR: "1" } }).output();
  const found = new Map<string, Set<string>>();
  // Workers cannot draw, and cannot lint.
  const types = new TextDecoder().decode(stdout).replaceAll(/^(?:declare )?(?:interface|type|var) GPU[^]*?^}?;?$/gm, "")
    .replace(/^ {2}export namespace lint [^]*?^ {2}\}$/m, "");
  const add = (field: string, values: string) => {
    for (const [, value] of values.matchAll(/"([^"]*)"/g)) {
      found.set(field, (found.get(field) ?? new Set()).add(value ?? ""));
    }
  };
  const unions = new Map(
    [...types.matchAll(/\btype (\w+) =((?:\s*\|?\s*"[^"\n]*")+);/g)].map(([, name, values]) => [name, values ?? ""]),
  );
  for (const [, field, values] of types.matchAll(/\b(\w+)\??:((?:\s*\|?\s*"[^"\n]*")+)/g)) {
    add(field ?? "", values ?? "");
  }
  for (const [, field, type] of types.matchAll(/\b(\w+)\??: (\w+)/g)) add(field ?? "", unions.get(type) ?? "");
  return Object.fromEntries([...found].map(([field, values]) => [field, [...values]]));
}

/** Calls and constructs everything reachable, with each of the options; awaits each result for a limited time. */
const EVERYTHING = `
const wait = (promise) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, 2))]).catch(() => {});
/** Handles the promises that a value holds, so that none is an unhandled rejection. */
const settle = (value) => {
  for (let at = value, i = 0; at !== null && typeof at === "object" && i < 3; at = Object.getPrototypeOf(at), i++) {
    for (const key of Reflect.ownKeys(at)) {
      try { Promise.resolve(value[key]).catch(() => {}); } catch { /* hidden */ }
    }
  }
};
const required = { hostname: "127.0.0.1", port: 1, cid: 1, path: "/nowhere", url: "http://127.0.0.1:1/", name: "x" };
const arguments_ = [[], [undefined], ["http://127.0.0.1:1/"], ["/nowhere"], [1], [{}], [required]];
// Deno's own functions get one option at a time; the rest, with few options each, get the first of each, the second of each …
const joined = arguments_.slice();
const longest = Math.max(...Object.values(OPTIONS).map((values) => values.length));
for (let i = 0; i < longest; i++) {
  const option = Object.fromEntries(Object.entries(OPTIONS).map(([field, values]) => [field, values[i % values.length]]));
  joined.push([{ ...required, ...option }], ["http://127.0.0.1:1/", { ...required, ...option }]);
}
const single = arguments_.slice();
for (const [field, values] of Object.entries(OPTIONS)) {
  for (const value of values) {
    const option = { ...required, [field]: value };
    single.push([option], ["http://127.0.0.1:1/", option], [{ proxy: option }], [value, value]);
  }
}
// These end or stop only the worker itself; or they wait forever.
const SKIPPED = /^(self\\.|globalThis\\.)*(close|setInterval|Atomics\\.(wait|waitAsync|pause)|reportError)$/;
const seen = new Set();
let calls = 0;
async function visit(holder, path, depth) {
  if ((typeof holder !== "object" && typeof holder !== "function") || holder === null || seen.has(holder)) return;
  seen.add(holder);
  for (const key of Reflect.ownKeys(holder)) {
    const name = (path === "" ? "" : path + ".") + String(key);
    if (SKIPPED.test(name) || key === "constructor") continue;
    let value;
    try { value = holder[key]; } catch { continue; }
    if (value instanceof Promise) { await wait(value); continue; }
    if (typeof value === "function" && !seen.has(value)) {
      // A method of a hand-made object has none of Deno's options.
      const isOwn = /^(Deno\\.[a-z]\\w*|fetch|WebSocket|WebSocketStream|Request|URL)$/.test(name);
      for (const args of isOwn ? single : depth === 0 ? joined : arguments_) {
        for (const how of [() => value.apply(holder, args), () => Reflect.construct(value, args)]) {
          calls++; last = name + JSON.stringify(args);
          try {
            const result = how();
            settle(result);
            if (typeof result?.then === "function") await wait(result);
            if (typeof result?.close === "function") result.close();
          } catch { /* rejected */ }
        }
      }
    }
    if (depth < 3) await visit(value, name, depth + 1);
  }
}
`;

Deno.test("nothing that a plugin can reach ends the process or writes to its output, with any option of Deno's", async () => {
  const options = await optionValues();
  assert.ok(options.transport?.includes("vsock") && options.transport.includes("unixpacket"), "options are found");
  await using server = new ScriptedServer(isSilent);
  const module = checkModule(
    `log_last = log.info; await visit(globalThis, "", 0); log.info("DONE " + calls); return { status: "pass" };`,
    {
      top:
        `self.addEventListener("unhandledrejection", (event) => log_last?.("DONE last was " + last)); let log_last, last; const OPTIONS = ${
          JSON.stringify(options)
        };${EVERYTHING}`,
    },
  );
  const { code, stdout, stderr } = await runAlone(module, server.target);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^DONE \d{5,}; ended in order\n$/);
});

Deno.test.each([
  { what: "vsock", options: `{ transport: "vsock", cid: 1, port: 1 }` },
  {
    what: "vsock on the second read",
    options: `{ cid: 1, port: 1, get transport() { return this.again ? "vsock" : (this.again = true, "tcp"); } }`,
  },
])("a plugin that connects over $what in its first line is denied, and the process lives", async ({ options }) => {
  const module = checkModule(`log.info("DONE " + said); return { status: "pass" };`, {
    top: `const said = await Deno.connect(${options}).then(() => "connected", (error) => error.message);
      await Deno.createHttpClient({ proxy: { transport: "vsock", cid: 1, port: 1 } });`.replace(
      /await Deno.createHttp.*/,
      `try { Deno.createHttpClient({ proxy: { transport: "vsock", cid: 1, port: 1 } }); } catch { /* rejected */ }`,
    ),
  });
  const { code, stdout, stderr } = await runAlone(module, "127.0.0.1:1");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^DONE (?:Cannot connect|Requires net access|.*).*; ended in order\n$/);
});

Deno.test("nothing that a plugin prints, from its first line on, reaches the process's output", async () => {
  const module = checkModule(
    `for (const print of methods) console[print](false, "probe \\x1b[31m", { a: 1 });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    log.info("DONE"); return { status: "pass" };`,
    {
      top: `console.log("first line"); console.error("first line");
      const methods = Object.getOwnPropertyNames(console).filter((name) => typeof console[name] === "function");
      if (methods.length < 20) throw new Error("methods are missing");
      for (const print of methods) console[print](false, "load \\x1b]0;title\\x07", [{ a: 1 }]);
      console.log(Symbol("s"), Object.create(null), new Proxy({}, { get() { throw null; } }));`,
    },
  );
  const { code, stdout, stderr } = await runAlone(module, "127.0.0.1:1");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(stdout, "DONE; ended in order\n");
});

Deno.test("the number of workers is limited by the open files, and the process keeps running", async () => {
  const main = new URL("../support/crowded.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 160; exec "$@"', "sh", Deno.execPath(), ...TASK_ARGS, main],
    env: { NO_COLOR: "1" },
  }).output();
  assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
  assert.match(
    new TextDecoder().decode(stdout),
    /^[1-9]\d* workers; NoRoomError: Cannot start another worker: \d+ of 160 file descriptors .*LimitNOFILE .*isolation: shared/,
  );
});

Deno.test("a plugin at its connection limit is denied more, until it closes some", async () => {
  await using server = new ScriptedServer(isSilent);
  const module = checkModule(
    `const [hostname, port] = target.split(":");
    const kept = [];
    const open = async () => kept.push(await Deno.connect({ hostname, port: Number(port) }));
    const results = await Promise.allSettled(Array.from({ length: 500 }, open));
    const denied = results.filter(({ reason }) => reason !== undefined);
    for (const connection of kept.splice(0)) connection.close();
    await open();
    kept[0].close();
    log.info("DONE " + (500 - denied.length) + " " + denied[0].reason.message + " " + denied[0].reason.code);
    return { status: "pass" };`,
  );
  const { code, stdout, stderr } = await runAlone(module, server.target);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(
    stdout,
    /^DONE (\d+) Cannot open more than \1 connections and files at once; close some ELIMIT; ended in order\n$/,
  );
});

Deno.test.each([
  {
    how: "sends its web socket the event that it is closed",
    top: `const forge = () => { for (let i = 0; i < 1_000; i++) socket.dispatchEvent(new Event("close")); };`,
    open: `socket ??= new WebSocket("ws://" + target); forge();`,
  },
  {
    how: "makes web sockets of its own class, and reports their end itself",
    top: `class Ended { get closed() { return Promise.resolve(); } }`,
    open: `kept.push(Reflect.construct(WebSocketStream, ["ws://" + target], Ended)); await 0;`,
  },
  {
    how: "takes the class of web sockets as it is wrapped",
    top: `let taken; const OwnProxy = Proxy, { defineProperty } = Object;
      globalThis.Proxy = class { constructor(made) { taken ??= made; return new OwnProxy(made, {}); } };
      Object.defineProperty = (object, ...rest) => { taken ??= object.constructor; return defineProperty(object, ...rest); };
      WebSocket; Object.defineProperty = defineProperty; globalThis.Proxy = OwnProxy;`,
    open: `kept.push(new (taken ?? WebSocket)("ws://" + target));`,
  },
  {
    how: "replaces Array.prototype.filter",
    top: `Array.prototype.filter = () => [];`,
    open: `kept.push(Deno.createHttpClient({}));`,
    bound: 4,
  },
])("a plugin that $how is still denied more connections", async ({ top, open, bound = 128 }) => {
  await using server = new ScriptedServer(isSilent);
  const module = checkModule(
    `const [hostname, port] = target.split(":");
    let opened = 0;
    try { for (; opened < 300; opened++) { ${open} kept.push(await Deno.connect({ hostname, port: Number(port) })); } } catch { /* denied */ }
    log.info("DONE " + opened);
    return { status: "pass" };`,
    { top: `let socket; const kept = []; ${top}` },
  );
  const { code, stdout, stderr } = await runAlone(module, server.target);
  assert.deepEqual([code, stderr], [0, ""]);
  const [, opened] = /^DONE ([0-9]+); ended in order\n$/.exec(stdout) ?? [];
  assert.ok(Number(opened) <= bound, stdout);
});

Deno.test.each([
  { what: "Set.prototype.has", top: `Set.prototype.has = () => true;` },
  {
    what: "Object.prototype",
    top:
      `let looks = 0; Object.defineProperty(Object.prototype, "transport", { get: () => looks++ % 2 ? "vsock" : "tcp" });`,
  },
])("a plugin that changes $what gets no other transport", async ({ top }) => {
  const module = checkModule(`log.info("DONE " + said); return { status: "pass" };`, {
    top: `${top} const said = await Deno.connect(JSON.parse('{ "cid": 1, "port": 1, "transport": "vsock" }'))
      .then(() => "connected", (error) => error.message) + await Deno.connect({ cid: 1, port: 1 })
      .then(() => "connected", (error) => error.message);`,
  });
  const { code, stdout, stderr } = await runAlone(module, "127.0.0.1:1");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^DONE Cannot connect: transport must be tcp or unix.*; ended in order\n$/);
  assert.doesNotMatch(stdout, /vsock/);
});

Deno.test("a plugin that makes JSON beyond the message limit loses its worker, and the host accepts none of it", async () => {
  const module = checkModule(
    `Object.prototype.toJSON = () => long; for (let i = 0; i < 10; i++) log.info("x"); return new Promise(() => {});`,
    { top: `const long = "x".repeat(3 * 1024 * 1024);` },
  );
  const { code, stdout, stderr } = await runAlone(module, "127.0.0.1:1");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(
    stdout,
    /^nothing; (?:died|failed): uncaught error: A message must have at most [0-9]+ char/,
  );
});

Deno.test("the programs of a plugin write to the plugin or nowhere, never to the process's output", async () => {
  const module = checkModule(
    `const said = [];
    const run = (options) => new Deno.Command("/usr/bin/echo", { args: ["printed"], ...options });
    for (const stdout of [undefined, "inherit", 1, "piped"]) {
      await run({ stdout, stderr: "inherit" }).spawn().status;
      await new (run({}).constructor)("/usr/bin/echo", { args: ["printed"], stdout }).spawn().status;
      const done = await run({ stdout }).output();
      try { said.push(new TextDecoder().decode(done.stdout).trim()); } catch { said.push(""); }
    }
    const child = run({ stdout: "piped" }).spawn();
    said.push((await new Response(child.stdout).text()).trim());
    log.info("DONE " + said.join());
    return { status: "pass" };`,
  );
  const { code, stdout, stderr } = await runAlone(module, "127.0.0.1:1", ["/usr/bin/echo"]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(stdout, "DONE printed,,,printed,printed; ended in order\n");
});
