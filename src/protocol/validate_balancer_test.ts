import assert from "node:assert/strict";
import fc from "fast-check";
import { isRecord } from "../model/node.ts";
import { FILE_LENGTH_MAX } from "./validate_balancer.ts";
import { validate } from "./validate.ts";
import type { BalancerAnswer } from "./messages.ts";
import { encodeBalancerAnswer } from "./wire.ts";

/** What the validation makes of an answer of a balancer's plugin: the decision, or the fault. */
function validatedAnswer(answer: unknown): unknown {
  const decision = isRecord(answer) ? encodeBalancerAnswer(answer as unknown as BalancerAnswer) : answer;
  const validated = validate({ type: "decided", seq: 1, decision });
  if (!validated.ok) return validated.fault;
  return validated.message.type === "decided" ? validated.message.decision : validated.message.type;
}

const INSTALL = {
  do: "install",
  path: "/run/x",
  contents: "x",
  mode: 0o600,
  check: ["/bin/x", "%"],
  when: "now",
};
const SOURCES = {
  socket: "/run/x.sock",
  queries: ["show info"],
  file: "/run/x",
  program: "/bin/x",
  reloadIntervalMs: 1_000,
};
const RENDERED = { text: "x\n", notices: [{ text: "x" }], origins: new Map([[1, { cluster: "web", path: ["a", 0] }]]) };

Deno.test.each([
  { ask: "sources", sources: SOURCES, permissions: { write: ["/run/x"] } },
  { ask: "sources", sources: { ...SOURCES, speaks: "http", queries: ["/status?a"] }, permissions: {} },
  { ask: "listens", listens: [{ host: "", port: 80, path: ["port"] }] },
  { ask: "pid", pid: undefined },
  { ask: "pid", pid: 42 },
  { ask: "observe" },
  { ask: "render", rendered: RENDERED },
  { ask: "plan", steps: [INSTALL, { do: "command", command: "show info", expect: ["New server.*", "[0-9]+"] }] },
  { ask: "plan", steps: [{ do: "start", reason: "x", run: ["/bin/x"] }] },
  { ask: "plan", steps: [{ do: "reload", reason: "x", listens: [], how: { run: ["/bin/x"] } }] },
  { ask: "plan", steps: [{ do: "reload", reason: "x", cause: "members", listens: [], how: { run: ["/bin/x"] } }] },
  { ask: "plan", steps: [{ do: "reload", reason: "x", listens: [], how: { signal: "SIGUSR2", pid: 42 } }] },
  { ask: "explain", explanation: undefined },
  { ask: "explain", explanation: { cluster: "web", faults: [{ message: "x", remedy: [{ path: [] }] }] } },
])("validate() takes the decision $ask as it is", (decision) => assert.deepEqual(validatedAnswer(decision), decision));

Deno.test("validate() keeps of a step what it knows, and of members those that can be", () => {
  const steps = [{ ...INSTALL, owner: "root" }];
  assert.deepEqual(validatedAnswer({ ask: "plan", steps }), { ask: "plan", steps: [INSTALL] });
  const node = { host: "a.int", ip: "10.0.0.1", port: 80, metadata: {} };
  assert.deepEqual(validatedAnswer({ ask: "adopt", members: new Map([["web", [{ ...node, ip: "x; y" }, node]]]) }), {
    ask: "adopt",
    members: new Map([["web", [node]]]),
  });
});

Deno.test.each([
  { decision: null, fault: /decision must be an object/ },
  { decision: { ask: "obey" }, fault: /Unknown kind of a decision/ },
  { decision: { ask: "pid", pid: 1 }, fault: /pid must be from 2/ },
  { decision: { ask: "pid", pid: 2.5 }, fault: /pid must be an integer/ },
  { decision: { ask: "adopt", members: {} }, fault: /members must be a Map: current value is \{\}/ },
  { decision: { ask: "listens", listens: [{ host: "", port: 0, path: [] }] }, fault: /port must be from 1/ },
  { decision: { ask: "sources", sources: { ...SOURCES, queries: ["a;b"] }, permissions: {} }, fault: /one command/ },
  {
    decision: { ask: "sources", sources: { ...SOURCES, speaks: "http" }, permissions: {} },
    fault: /A query over http must be a path/,
  },
  { decision: { ask: "sources", sources: { ...SOURCES, speaks: "telnet" }, permissions: {} }, fault: /speaks must be/ },
  {
    decision: { ask: "sources", sources: { ...SOURCES, reloadIntervalMs: -1 }, permissions: {} },
    fault: /reloadIntervalMs must be from 0/,
  },
  { decision: { ask: "render", rendered: { ...RENDERED, origins: {} } }, fault: /origins must be a Map/ },
  {
    decision: { ask: "render", rendered: { ...RENDERED, text: "x".repeat(FILE_LENGTH_MAX + 1) } },
    fault: /A config file must be a text of at most/,
  },
  { decision: { ask: "render", rendered: { ...RENDERED, notices: new Array(101) } }, fault: /at most 100/ },
  { decision: { ask: "plan", steps: [{ do: "destroy" }] }, fault: /Unknown kind of a step/ },
  { decision: { ask: "plan", steps: [{ ...INSTALL, mode: 0o4755 }] }, fault: /mode must be from 0 to 511/ },
  { decision: { ask: "plan", steps: [{ ...INSTALL, path: "/run/x\n" }] }, fault: /without control characters/ },
  { decision: { ask: "plan", steps: [{ ...INSTALL, when: "later" }] }, fault: /when must be/ },
  { decision: { ask: "plan", steps: [{ do: "start", reason: " ", run: ["/bin/x"] }] }, fault: /must have a reason/ },
  { decision: { ask: "plan", steps: [{ do: "start", reason: "x", run: [] }] }, fault: /run must name a program/ },
  {
    decision: { ask: "plan", steps: [{ do: "reload", reason: "x", listens: [], how: { signal: "SIGKILL", pid: 9 } }] },
    fault: /how must run a program, ask a master or send SIGUSR2/,
  },
])(
  "validate() refuses a decision with $fault",
  ({ decision, fault }) => assert.match(String(validatedAnswer(decision)), fault),
);

Deno.test.each(["(a+)+", "a+a+", "a|b", "(?=a)", "a{2,}", "[", "a**"])(
  "validate() refuses to expect %s, which could keep the host busy",
  (pattern) => {
    const steps = [{ do: "command", command: "show info", expect: [pattern] }];
    assert.match(String(validatedAnswer({ ask: "plan", steps })), /expect must/);
  },
);

Deno.test("validate() never throws, whatever a balancer's plugin answers", () => {
  const asks = ["sources", "listens", "pid", "observe", "adopt", "adoptRunning", "render", "plan", "explain"];
  const anything = fc.anything({ withMap: true, withNullPrototype: true, withBigInt: true });
  const step = fc.record({
    do: fc.constantFrom("command", "install", "start", "reload"),
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
