/**
 * What a plugin from elsewhere does to the realm that it shares with the worker's
 * own code: its lies affect only itself, and it never gets the port to the host.
 * The host is unharmed, and a good check beside it keeps working.
 *
 * @module
 */
import assert from "node:assert/strict";
import { liveWorkerCount } from "../../src/supervisor/plugin_host.ts";
import { eventually } from "../support/eventually.ts";
import { Sandbox } from "../support/sandbox.ts";

Deno.test.afterEach(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));

/** Looks for the worker's port wherever the realm could expose it: as `this`, as an argument, in an event. */
const HUNT = `
const { apply, construct, getPrototypeOf, ownKeys } = Reflect;
const found = new Set<string>();
let isLooking = false;
const lookAt = (value: any) => {
  const { name } = (getPrototypeOf(value) as any).constructor;
  if (name === "MessagePort" || name === "Wire") found.add(name);
};
// Without spread or iteration: those are intercepted as well.
const look = (self: any, all: any) => {
  if (isLooking) return;
  isLooking = true;
  for (let i = -1; i < all.length; i++) {
    const value = i === -1 ? self : all[i];
    try { lookAt(value); } catch { /* no object */ }
    try { lookAt(value.target); } catch { /* no event */ }
  }
  isLooking = false;
};
for (const name of Object.getOwnPropertyNames(globalThis)) {
  if (/^(Symbol|Object|Proxy|Reflect|Set|self|globalThis)$/.test(name)) continue;
  const made = (globalThis as any)[name];
  const holders: any[] = [made, made?.prototype];
  for (let i = 0; i < 2; i++) {
    const holder = holders[i];
    if (holder === undefined || holder === null) continue;
    const keys = ownKeys(Object(holder));
    for (let j = 0; j < keys.length; j++) {
      const key: any = keys[j];
      const own: any = Object.getOwnPropertyDescriptor(holder, key);
      const spy = (inner: any) => typeof inner !== "function" ? inner : function (this: any) {
        look(this, arguments);
        return new.target ? construct(inner, arguments, new.target) : apply(inner, this, arguments);
      };
      if (own === undefined || key === "prototype" || key === "constructor" || key === Symbol.hasInstance) continue;
      const spied = "value" in own ? { ...own, value: spy(own.value) } : { ...own, get: spy(own.get), set: spy(own.set) };
      try { Object.defineProperty(holder, key, spied); } catch { /* it cannot be changed */ }
    }
  }
}
look(new (class Wire {})(), []);
if (!found.delete("Wire")) throw new Error("It does not look");
`;

/** The fate of an attacker: its own verdict, or the end of its worker for this reason. */
type Fate = { readonly outcome: RegExp } | { readonly death: RegExp };

const CASES: readonly { readonly what: string; readonly top?: string; readonly probe?: string; readonly fate: Fate }[] =
  [
    {
      what: "posts on the global channel",
      probe: `self.onmessage = () => { throw new Error("heard"); }; postMessage(1);`,
      fate: { outcome: /^failed: postMessage is not defined$/ },
    },
    {
      what: "looks for the port to the host",
      top: HUNT,
      probe: `log.info("x"); console.log("x");
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { status: "fail", reason: "found: " + [...found].join() };`,
      fate: { outcome: /^found: $/ },
    },
    {
      what: "makes a port, a channel or a worker",
      probe: `return { status: "fail", reason: ["MessagePort", "MessageChannel", "BroadcastChannel", "Worker"]
        .filter((name) => name in globalThis).join() };`,
      fate: { outcome: /^$/ },
    },
    {
      what: "replaces the event classes through which Deno reports errors",
      top: `for (const name of ["Event", "ErrorEvent", "EventTarget", "PromiseRejectionEvent"]) {
        for (const key of Object.getOwnPropertyNames((globalThis as any)[name].prototype)) {
          try { Object.defineProperty((globalThis as any)[name].prototype, key, { value: () => {} }); } catch { /* it cannot */ }
        }
      }`,
      probe: `setTimeout(() => { throw new Error("later"); }); return new Promise(() => {});`,
      fate: { death: /uncaught error: later/ },
    },
    {
      what: "forges and breaks log lines",
      probe: `log.info("a\\nlevel=error \\u001b[31mfake", { worker: "check good", "x\\ny": "a\\u2028b" });
      return { status: "fail", reason: "a\\nb\\u001b[2Jc" };`,
      fate: { outcome: /^a b \[2Jc$/ },
    },
    {
      what: "answers with polluted prototypes",
      probe:
        `log.info("x", JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}'));
      return JSON.parse('{"status": "fail", "reason": "said", "__proto__": {"polluted": 1}}');`,
      fate: { outcome: /^said$/ },
    },
    {
      what: "changes Object.prototype",
      top: `Object.defineProperty(Object.prototype, "status", { value: "pass" });
      Object.defineProperty(Object.prototype, "type", { value: "loaded", writable: true });`,
      probe: `return {};`,
      fate: { outcome: /./ },
    },
    {
      what: "replaces array iteration",
      top: `Array.prototype[Symbol.iterator] = function* () { yield ["check good", {}]; } as any;
      Array.prototype.map = () => { throw new Error("no map"); };`,
      fate: { outcome: /./ },
    },
    {
      what: "replaces the methods of promises",
      top: `const then = Promise.prototype.then;
      Promise.prototype.then = function (this: any, a: any, b: any) { return then.call(this, a, b); } as any;
      Promise.race = () => ({ then: (f: any) => f({ status: "pass", detail: "mine" }) }) as any;`,
      fate: { outcome: /./ },
    },
    {
      what: "breaks globals that the worker's own code uses",
      top:
        `for (const name of ["structuredClone", "queueMicrotask", "AbortController", "Map", "Promise", "console", "performance"]) {
        (globalThis as any)[name] = undefined;
      }
      Map.prototype.get = () => undefined;`,
      fate: { outcome: /./ },
    },
    { what: "throws nothing", probe: `throw null;`, fate: { outcome: /null/ } },
    { what: "throws undefined", probe: `throw undefined;`, fate: { outcome: /undefined/ } },
    {
      what: "throws a value that throws on every access",
      probe: `throw new Proxy({}, new Proxy({}, { get() { throw new Error("trap"); } }));`,
      fate: { outcome: /error without a readable message/ },
    },
    {
      what: "throws an error whose message throws",
      probe: `throw Object.defineProperties(new Error(), {
        message: { get() { throw new Error("m"); } }, name: { get() { throw new Error("n"); } } });`,
      fate: { outcome: /error without a readable message/ },
    },
    {
      what: "throws an error with a name of a megabyte",
      probe: `const error = new Error("y".repeat(1e6)); error.name = "x".repeat(1e6); throw error;`,
      fate: { outcome: /^failed: y{2000}$/ },
    },
    {
      what: "answers with a value that cannot be cloned",
      probe: `return { status: "fail", reason: () => {} };`,
      fate: { outcome: /^\(\) => \{\}$/ },
    },
    {
      what: "answers with an invalid outcome",
      probe: `return { status: "great" };`,
      fate: { outcome: /^invalid outcome .*: must be \{ status: "pass" \| "fail" \| "unknown" \}$/ },
    },
    {
      what: "answers with a promise of its own making",
      probe: `return { then(resolve: any) { resolve({ then() {} }); } };`,
      fate: { outcome: /^No response within 1s$/ },
    },
    {
      what: "throws outside of any call",
      probe: `setTimeout(() => { throw new Error("later"); }); return new Promise(() => {});`,
      fate: { death: /uncaught error: later/ },
    },
    {
      what: "leaves a rejection unhandled",
      probe: `Promise.reject(null); return new Promise(() => {});`,
      fate: { death: /uncaught error: null/ },
    },
    {
      what: "closes itself",
      probe: `self.close(); return new Promise(() => {});`,
      fate: { death: /no response to 3 pings/ },
    },
    {
      what: "floods the log",
      probe: `for (let i = 0; i < 2_000; i++) log.warn("noise " + i); return { status: "fail", reason: "said" };`,
      fate: { outcome: /^said$/ },
    },
    {
      what: "says 100 megabytes",
      probe: `log.info("x".repeat(1e8)); return { status: "fail", reason: "said" };`,
      fate: { outcome: /^said$/ },
    },
    {
      what: "logs a value nested 100,000 deep",
      probe: `let deep: any = {}; for (let i = 0; i < 1e5; i++) deep = { deep }; log.info("x", { deep });
      return { status: "pass" };`,
      fate: { outcome: /^PASS$/ },
    },
    ...[
      "new Uint8Array(5e7)",
      "Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [i, i]))",
      "new Map(Array.from({ length: 300_000 }, (_, i) => [i, i]))",
      "(() => { const s: any = []; s.length = 4294967295; return s; })()",
      "Array.from({ length: 1000 }, () => new ReadableStream())",
    ].map((value) => ({
      what: `sends everywhere ${value}`,
      probe: `const value: any = ${value}; log.info("x", value); log.info("x", { value }); console.table(value);
      log.info(value); return { status: "pass", detail: value.length === 4294967295 ? "holes" : value };`,
      fate: { outcome: /^PASS$/ },
    })),
    {
      what: "sends shared memory and values without a JSON form",
      probe:
        `const all: any[] = [new SharedArrayBuffer(1e6), new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true }),
        new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), new Blob(["x"]), new Date(NaN), /x/, 1n, NaN, -0,
        Infinity, Symbol("s"), new Map([[1, 2]]), new Set([1]), new WeakMap(), new AggregateError(new Array(1e5).fill(new Error("e"))),
        await crypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, true, ["encrypt"])];
      for (const value of all) {
        log.info("x", value); log.info("x", { value }); log.info(value); console.table(value);
      }
      return { status: "fail", reason: all, detail: all };`,
      fate: { outcome: /./ },
    },
    ...([
      ["NaN", { death: /tookMs must be a number/ }],
      ["Infinity", { death: /tookMs must be a number/ }],
      ["-1", { outcome: /^said$/ }],
      ["1n", { outcome: /^failed: Do not know how to serialize a BigInt$/ }],
      ["{ valueOf() { throw null; } }", { outcome: /^failed: null$/ }],
    ] as const).map(([value, fate]) => ({
      what: `has a clock that says ${value}`,
      top: `performance.now = () => (${value}) as any; Date.now = () => (${value}) as any;`,
      probe: `return { status: "fail", reason: "said" };`,
      fate,
    })),
    {
      what: "sends a value that contains itself",
      probe:
        `const own: any = { list: [] }; own.list.push(own, own); log.info("x", { own }); return { status: "fail", reason: "said" };`,
      fate: { outcome: /^said$/ },
    },
  ];

/** The cases that run again in a worker that checks share. */
const SHARED = /floods|looks for the port|sends everywhere|throws outside of any call/;

Deno.test.each([
  ...CASES.map((each) => ({ ...each, isolation: "worker" as const })),
  ...CASES.filter(({ what }) => SHARED.test(what)).map((each) => ({ ...each, isolation: "shared" as const })),
])("an attacker that $what harms only itself (isolation: $isolation)", async ({ top, probe, fate, isolation }) => {
  await using sandbox = new Sandbox({ isolation });
  const attacker = { ...top !== undefined && { top }, ...probe !== undefined && { probe } };
  const said = await sandbox.attack(attacker, { timeoutMs: 1_000 }).then(
    (outcome) => outcome.status === "pass" ? "PASS" : outcome.reason,
    (error) => `failed: ${error.message}`,
  );
  if ("outcome" in fate) assert.match(said, fate.outcome);
  else {
    await eventually("its worker is ended", () => sandbox.downs.some((down) => fate.death.test(down))).catch(
      (error) => {
        throw new Error(`${error.message}: ${JSON.stringify([said, sandbox.downs, sandbox.log])}`);
      },
    );
    assert.ok(sandbox.log.some((line) => line.startsWith("warn ") && fate.death.test(line)), "it is logged");
  }
  assert.equal(({} as Record<string, unknown>).polluted, undefined, "no prototype of the host is changed");
  for (const { key, event } of sandbox.events) {
    assert.match(key, /attacker/, "its records are logged under its own name");
    // deno-lint-ignore no-control-regex -- characters that could forge a line are the subject.
    assert.doesNotMatch(JSON.stringify(event).replaceAll("\\\\", ""), /\\n|\\u001b|[\u0000-\u001f\u2028]/);
  }
  assert.ok(sandbox.events.length <= 200, "its log is limited");
  await sandbox.goesOn();
});

Deno.test.each([
  { what: "never finishes loading", top: "await new Promise(() => {});", said: /not loaded within 10s/ },
  { what: "throws when it is loaded", top: "throw null;", said: /Cannot use the plugin: .*null/ },
  { what: "closes itself when it is loaded", top: "self.close();", said: /Cannot use the plugin: / },
  {
    what: "claims to be a discovery",
    members: `kind: "discovery", capabilities: ["watch"], open() {},`,
    said: /Cannot use the plugin as a check: the plugin is a discovery/,
  },
  { what: "has an unknown kind", members: `kind: "root",`, said: /: kind must be one of/ },
  { what: "is for another version", members: "apiVersion: 2,", said: /written for API version 2/ },
  { what: "has a name that is not a string", members: "name: {},", said: /: name must be a string/ },
  {
    what: "changes its kind on the second read",
    members: `get kind() { return Math.random() < 2 && self.name.length % 2 ? "check" : {}; },`,
    said: /./,
  },
  { what: "has an example that cannot be cloned", members: "example: () => {},", said: /must be JSON data/ },
  {
    what: "throws while it describes itself",
    validate: `(() => { throw null; })()`,
    said: /Cannot use the plugin: null/,
  },
  {
    what: "never finishes describing itself",
    validate: `new Promise(() => {})`,
    said: /no response to describe within 5s/,
  },
  ...[
    "new Map()",
    "new Uint8Array(5e7)",
    "new ReadableStream()",
    "(() => { const s: any = []; s.length = 4294967295; return { s }; })()",
    "(() => { let x: any = {}; for (let i = 0; i < 60; i++) x = { a: x, b: x }; return x; })()",
  ].map((config) => ({
    what: `makes the config ${config}`,
    validate: `({ value: ${config} })`,
    said: /config must be JSON data/,
  })),
  {
    what: "requests bytes as a permission",
    permissions: "new Uint8Array(5e7)",
    said: /A permission request must be an object whose values are lists/,
  },
  {
    what: "reports endless faults in the config",
    validate: `({ issues: new Array(1e4).fill({ message: "x" }) })`,
    said: /issues must have at most 1000 entries/,
  },
  {
    what: "requests a permission that throws on access",
    permissions: `Object.defineProperty({}, "net", { enumerable: true, get() { throw null; } })`,
    said: /./,
  },
])("an attacker that $what is not started", async ({ what: _what, said, ...attacker }) => {
  await using sandbox = new Sandbox();
  await assert.rejects(sandbox.attack(attacker), said);
  await sandbox.goesOn();
});

Deno.test("an attacker that takes a shipped name, or another plugin's, is logged and confined under its operator's name", async () => {
  for (const name of ["tcp", "check good", "../../http\n"]) {
    await using sandbox = new Sandbox();
    const attacker = {
      members: `name: ${JSON.stringify(name)},`,
      probe: `log.warn("it is I"); await Deno.connect({ hostname: "127.0.0.1", port: 1 });`,
    };
    const said = await sandbox.attack(attacker).then(
      (outcome) => outcome.status === "pass" ? "PASS" : outcome.reason,
      (error) => error.message,
    );
    assert.match(said, /Requires net access|its name/, name);
    for (const { key } of sandbox.events) assert.match(key, /attacker/);
    await sandbox.goesOn();
  }
});
