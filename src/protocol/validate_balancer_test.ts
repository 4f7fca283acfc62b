import assert from "node:assert/strict";
import fc from "fast-check";
import { isRecord } from "../model/node.ts";
import { FILE_LENGTH_MAX } from "./validate_balancer.ts";
import { validate } from "./validate.ts";
import { type BalancerAnswer, encodeBalancerAnswer } from "./functions.ts";

/** The result of validating a balancer's answer: the decision, or the fault. */
function validatedAnswer(answer: unknown): unknown {
  const decision = isRecord(answer) ? encodeBalancerAnswer(answer as unknown as BalancerAnswer) : answer;
  const validated = validate({ type: "decided", seq: 1, decision });
  if (!validated.ok) return validated.fault;
  return validated.message.type === "decided" ? validated.message.decision : validated.message.type;
}

/** Sources with another contact. */
function contact(more: object): object {
  return { ...SOURCES, contact: { ...CONTACT, ...more } };
}

/** A rendering with another file. */
function rendered(more: object): object {
  return { ...RENDERED, files: new Map([["/run/x", { ...FILE, ...more }]]) };
}

const INSTALL = {
  do: "install",
  path: "/run/x",
  contents: "x",
  mode: 0o600,
  check: ["/bin/x", "%"],
  when: "now",
};
const CONTACT = {
  by: "commands",
  socket: "/run/x.sock",
  queries: ["show info"],
  dialect: { opening: "prompt", ending: "\n> ", batchBytesMax: 15_000 },
};
const SOURCES = {
  kind: "process",
  contact: CONTACT,
  file: "/run/x",
  program: "/bin/x",
  reloadIntervalMs: 1_000,
};
const FILE = { text: "x\n", mode: 0o640, origins: new Map([[1, { cluster: "web", path: ["a", 0] }]]) };
const RENDERED = { files: new Map<string, unknown>([["/run/x", FILE]]), notices: [{ text: "x" }] };
const ASKED = { ask: "/run/m.sock", command: "reload", took: "yes", failed: "no" };

Deno.test.each([
  { ask: "sources", sources: SOURCES, permissions: { write: ["/run/x"] } },
  {
    ask: "sources",
    sources: { ...SOURCES, contact: { by: "http", socket: "/run/x.sock", queries: ["/status?a"] } },
    permissions: {},
  },
  {
    ask: "sources",
    sources: { ...SOURCES, contact: { by: "http", socket: "/run/x.sock", queries: ["/"], answeredBy: "workers" } },
    permissions: {},
  },
  {
    ask: "sources",
    sources: {
      ...SOURCES,
      contact: { by: "pid", pidFile: "/run/x.pid", proof: "children" },
      alsoWrites: ["/run/x.pid"],
      leavesOn: "SIGQUIT",
      otherRuns: ["-t"],
      chatter: ["Note:"],
    },
    permissions: {},
  },
  {
    ask: "sources",
    sources: {
      kind: "files",
      file: "/run/x",
      moreFiles: ["/run/y"],
      reloadIntervalMs: 1_000,
      reloadJitterMs: 10,
      children: [{ name: "a", pidFile: "/run/a.pid" }],
    },
    permissions: {},
  },
  { ask: "listens", listens: [{ host: "", port: 80, path: ["port"] }] },
  { ask: "pid", pid: undefined },
  { ask: "pid", pid: 42 },
  { ask: "observe" },
  { ask: "render", rendered: RENDERED },
  { ask: "plan", steps: [INSTALL, { do: "command", command: "show info", expect: ["New server.*", "[0-9]+"] }] },
  { ask: "plan", steps: [{ do: "start", reason: "x", run: ["/bin/x"] }] },
  { ask: "plan", steps: [{ do: "start", reason: "x", run: ["/bin/x"], serves: "0af", relieves: [42] }] },
  {
    ask: "plan",
    steps: [{ do: "reload", reason: "x", listens: [], how: { signal: "SIGHUP", pid: 42 }, serves: "0af" }],
  },
  { ask: "counters", counters: undefined },
  { ask: "counters", counters: { accepted: 1, handled: 1, requests: 2, open: { active: 1 } } },
  { ask: "plan", steps: [{ do: "reload", reason: "x", listens: [], how: { run: ["/bin/x"] } }] },
  { ask: "plan", steps: [{ do: "reload", reason: "x", cause: "members", listens: [], how: { run: ["/bin/x"] } }] },
  { ask: "plan", steps: [{ do: "reload", reason: "x", listens: [], how: { signal: "SIGUSR2", pid: 42 } }] },
  { ask: "render", rendered: { files: new Map([["/run/x", { text: "", owner: "x:y" }]]), notices: [] } },
  { ask: "plan", steps: [{ ...INSTALL, owner: "root" }] },
  { ask: "plan", steps: [{ do: "start", reason: "x", run: ["/bin/x"], master: ASKED }] },
  {
    ask: "plan",
    steps: [{
      do: "reload",
      reason: "x",
      listens: [],
      how: { ...ASKED, watch: { query: "show", took: "[0-9]+", failed: "no" }, hint: "x" },
    }],
  },
  { ask: "plan", steps: [{ do: "notify", reason: "x", run: ["/bin/x"], deadlineMs: 100 }] },
  { ask: "plan", steps: [{ do: "supervise", name: "a", reason: "x", run: ["/bin/x"], endsWithWriter: true }] },
  { ask: "explain", explanation: undefined },
  { ask: "explain", explanation: { cluster: "web", faults: [{ message: "x", remedy: [{ path: [] }] }] } },
])(
  "validate() accepts the decision $ask unchanged",
  (decision) => assert.deepEqual(validatedAnswer(decision), decision),
);

Deno.test("validate() drops unknown keys of a step, and invalid members", () => {
  const steps = [{ ...INSTALL, group: "root" }];
  assert.deepEqual(validatedAnswer({ ask: "plan", steps }), { ask: "plan", steps: [INSTALL] });
  const node = { host: "a.int", ip: "10.0.0.1", port: 80, metadata: {} };
  assert.deepEqual(validatedAnswer({ ask: "adopt", members: new Map([["web", [{ ...node, ip: "x; y" }, node]]]) }), {
    ask: "adopt",
    members: new Map([["web", [node]]]),
  });
});

Deno.test.each([
  { decision: null, fault: /decision must be an object/ },
  {
    decision: { ask: "plan", steps: [{ do: "start", reason: "x", run: ["/x"], serves: "" }] },
    fault: /"serves" must not be empty/,
  },
  {
    decision: { ask: "plan", steps: [{ do: "start", reason: "x", run: ["/x"], relieves: [1] }] },
    fault: /pid must be from 2/,
  },
  {
    decision: {
      ask: "sources",
      sources: { ...SOURCES, contact: { by: "http", socket: "/x", queries: [], answeredBy: "me" } },
      permissions: {},
    },
    fault: /answeredBy must be "workers" or absent/,
  },
  {
    decision: { ask: "counters", counters: { accepted: -1, handled: 0, requests: 0, open: {} } },
    fault: /accepted must be from 0/,
  },
  {
    decision: { ask: "counters", counters: { accepted: 0, handled: 0, requests: 0, open: { 'a"b': 0 } } },
    fault: /Unknown connection state/,
  },
  { decision: { ask: "obey" }, fault: /Unknown decision kind/ },
  { decision: { ask: "pid", pid: 1 }, fault: /pid must be from 2/ },
  { decision: { ask: "pid", pid: 2.5 }, fault: /pid must be an integer/ },
  { decision: { ask: "adopt", members: {} }, fault: /members must be a Map; received \{\}/ },
  { decision: { ask: "listens", listens: [{ host: "", port: 0, path: [] }] }, fault: /port must be from 1/ },
  { decision: { ask: "sources", sources: contact({ queries: ["a;b"] }), permissions: {} }, fault: /one command/ },
  {
    decision: { ask: "sources", sources: contact({ by: "http" }), permissions: {} },
    fault: /A query over HTTP must be a path/,
  },
  { decision: { ask: "sources", sources: contact({ by: "telnet" }), permissions: {} }, fault: /"by" must be/ },
  {
    decision: { ask: "sources", sources: contact({ dialect: { ending: "", batchBytesMax: 1 } }), permissions: {} },
    fault: /"ending" must have 1 to/,
  },
  {
    decision: {
      ask: "sources",
      sources: contact({ dialect: { opening: "a;b", ending: ">", batchBytesMax: 1 } }),
      permissions: {},
    },
    fault: /opening must be one command/,
  },
  {
    decision: { ask: "sources", sources: contact({ by: "pid", pidFile: "/run/x", proof: "hope" }), permissions: {} },
    fault: /proof must be "process" or "children"/,
  },
  {
    decision: { ask: "sources", sources: { ...SOURCES, leavesOn: "SIGKILL" }, permissions: {} },
    fault: /A signal must be one of/,
  },
  { decision: { ask: "sources", sources: { ...SOURCES, kind: "dns" }, permissions: {} }, fault: /kind must be/ },
  {
    decision: { ask: "sources", sources: { ...SOURCES, reloadIntervalMs: -1 }, permissions: {} },
    fault: /reloadIntervalMs must be from 0/,
  },
  { decision: { ask: "render", rendered: rendered({ origins: {} }) }, fault: /origins must be a Map/ },
  {
    decision: { ask: "render", rendered: rendered({ text: "x".repeat(FILE_LENGTH_MAX + 1) }) },
    fault: /A config file must be a string of at most/,
  },
  { decision: { ask: "render", rendered: { ...RENDERED, notices: new Array(101) } }, fault: /at most 100/ },
  { decision: { ask: "render", rendered: { ...RENDERED, files: {} } }, fault: /files must be a Map/ },
  { decision: { ask: "render", rendered: rendered({ mode: 0o4755 }) }, fault: /mode must be from 0 to 511/ },
  { decision: { ask: "plan", steps: [{ ...INSTALL, owner: "root root" }] }, fault: /owner must be USER/ },
  { decision: { ask: "plan", steps: [{ do: "notify", reason: "x", run: [] }] }, fault: /"run" must name a program/ },
  {
    decision: {
      ask: "plan",
      steps: [{ do: "start", reason: "x", run: ["/bin/x"], master: { ...ASKED, took: "(a+)+" } }],
    },
    fault: /took must have no group/,
  },
  { decision: { ask: "plan", steps: [{ do: "destroy" }] }, fault: /Unknown step kind/ },
  { decision: { ask: "plan", steps: [{ ...INSTALL, mode: 0o4755 }] }, fault: /mode must be from 0 to 511/ },
  { decision: { ask: "plan", steps: [{ ...INSTALL, path: "/run/x\n" }] }, fault: /without control characters/ },
  { decision: { ask: "plan", steps: [{ ...INSTALL, when: "later" }] }, fault: /"when" must be/ },
  { decision: { ask: "plan", steps: [{ do: "start", reason: " ", run: ["/bin/x"] }] }, fault: /must have a reason/ },
  { decision: { ask: "plan", steps: [{ do: "start", reason: "x", run: [] }] }, fault: /"run" must name a program/ },
  {
    decision: { ask: "plan", steps: [{ do: "reload", reason: "x", listens: [], how: { signal: "SIGKILL", pid: 9 } }] },
    fault: /A signal must be one of/,
  },
])(
  "validate() rejects a decision with $fault",
  ({ decision, fault }) => assert.match(String(validatedAnswer(decision)), fault),
);

Deno.test.each(["(a+)+", "a+a+", "a|b", "(?=a)", "a{2,}", "[", "a**"])(
  "validate() rejects the expected pattern %s, which could block the host",
  (pattern) => {
    const steps = [{ do: "command", command: "show info", expect: [pattern] }];
    assert.match(String(validatedAnswer({ ask: "plan", steps })), /expect must/);
  },
);

Deno.test("validate() never throws, for any answer of a balancer's plugin", () => {
  const asks = ["sources", "listens", "pid", "observe", "adopt", "adoptRunning", "render", "plan", "explain"];
  const anything = fc.anything({ withMap: true, withNullPrototype: true, withBigInt: true });
  const step = fc.record({
    do: fc.constantFrom("command", "install", "start", "reload", "notify", "supervise"),
    how: anything,
    run: anything,
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...asks),
      fc.dictionary(
        fc.constantFrom("sources", "permissions", "listens", "pid", "members", "rendered", "steps", "explanation"),
        fc.oneof(anything, fc.array(step)),
      ),
      (ask, rest) => void validatedAnswer({ ask, ...rest }),
    ),
    { numRuns: 500 },
  );
});
