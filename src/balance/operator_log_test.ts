import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import type { Origin, Step } from "../plugin/contract.ts";
import type { StepOutcome } from "./effects.ts";
import { OperatorLog } from "./operator_log.ts";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { Tally } from "../metrics/tally.ts";

const INSTALL: Step = {
  do: "install",
  path: "/etc/haproxy.cfg",
  contents: "",
  mode: 0o644,
  check: ["true"],
  when: "now",
};

function begin() {
  const log = new RecordingLogger();
  return { log, told: new OperatorLog("haproxy", log) };
}

function locate({ cluster, path }: Origin, text: string): string {
  return `clusters/${cluster}.yaml:${path.join(".")}: ${text}`;
}

function command(text: string, found?: string): Step {
  return { do: "command", command: text, expect: [""], found };
}

function done(step: Step, output = ""): StepOutcome {
  return { ok: true, step, tookMs: 7, output };
}

Deno.test("OperatorLog tells a fault once until all was right in between, and takes one that differs in a pid as the same", () => {
  const { log, told } = begin();
  told.tellFault("Process (17) does not answer");
  told.tellFault("Process (18) does not answer");
  assert.deepEqual(log.lines, ["error Process (17) does not answer", "debug Process (18) does not answer"]);
  log.take();
  told.forgetFaults();
  told.tellFault("Process (19) does not answer");
  assert.deepEqual(log.take(), ["error Process (19) does not answer"]);
});

Deno.test("OperatorLog remembers no more than a thousand texts", () => {
  const { log, told } = begin();
  const fault = (i: number) => `fault ${"x".repeat(i)}`;
  for (let i = 0; i <= 1_000; i++) told.tellFault(fault(i));
  log.take();
  told.tellFault(fault(0));
  told.tellFault(fault(1_000));
  assert.deepEqual(log.take(), [`error ${fault(0)}`]);
});

Deno.test("OperatorLog logs five faults that differ in what a process answers, until all is well", () => {
  const { log, told } = begin();
  const failure = (
    i: number,
  ) => ({ kind: "answer", message: `Cannot "add s${i}": process ${i} answers "x\\"${i}"` } as const);
  for (let i = 0; i < 100; i++) told.tellFault(`Cannot observe haproxy: current answer is "${i}"`);
  assert.equal(log.take().filter((line) => line.startsWith("error")).length, 5);
  for (let i = 0; i < 100; i++) told.tellCommandFailure(failure(i));
  assert.equal(log.take().filter((line) => line.startsWith("warn")).length, 5);
  told.forgetFaults();
  told.tellCommandFailure(failure(99));
  assert.deepEqual(log.take(), [`warn ${failure(99).message}`]);
});

Deno.test("OperatorLog tells of a refusal whose config it is, what becomes of it, and the first five faults in their places", () => {
  const { log, told } = begin();
  const fault = (line: number) => ({ message: `no ${line}`, origin: { cluster: "web", path: [line] }, remedy: [] });
  told.tellRefusal({ cluster: "web", faults: [fault(1)], fate: "kept" }, locate);
  told.tellRefusal({ cluster: undefined, faults: [{ message: "it is torn", remedy: [] }], fate: "nothing" }, locate);
  told.tellRefusal({ cluster: "api", faults: [1, 2, 3, 4, 5, 6, 7].map(fault), fate: "put aside" }, (_, text) => text);
  assert.deepEqual(log.take(), [
    "error haproxy refuses the config of cluster web, what was last accepted stays in force: clusters/web.yaml:1: no 1",
    "error haproxy refuses the config, nothing else is known: it is torn",
    "error haproxy refuses the config of cluster api, it is not served: no 1; no 2; no 3; no 4; no 5; and 2 more",
  ]);
});

Deno.test("OperatorLog names the address, its holder and the line where an address is taken, and blames no config", () => {
  const { log, told } = begin();
  const message = "Reload aborted: cannot bind 0.0.0.0:80: address already in use (held by nginx, pid 812)";
  const faults = [{ message, origin: { cluster: "web", path: [3] }, remedy: [] }];
  told.tellTakenAddress({ cluster: "web", faults, fate: "put aside" }, locate);
  told.tellTakenAddress({ cluster: "web", faults, fate: "kept" }, locate);
  told.tellTakenAddress({ cluster: undefined, faults: [{ message, remedy: [] }], fate: "left out" }, locate);
  assert.deepEqual(log.take(), [
    `error haproxy: clusters/web.yaml:3: ${message}; cluster web is not served`,
    `error haproxy: clusters/web.yaml:3: ${message}; last accepted config stays active`,
    `error haproxy: ${message}; left out until the address is free`,
  ]);
});

Deno.test("OperatorLog tells a notice when it is new, and again when it has come back", () => {
  const { log, told } = begin();
  const notices = ["web has no members", "api has no members"].map((text) => ({ text }));
  const leftOut = { text: "a line is left out", origin: { cluster: "web", path: [3] } };
  told.tellNotices(notices, locate);
  told.tellNotices([...notices, leftOut], locate);
  assert.deepEqual(log.take(), [
    "warn web has no members",
    "warn api has no members",
    "warn clusters/web.yaml:3: a line is left out",
  ]);
  told.tellNotices(notices.slice(1), locate);
  told.tellNotices(notices, locate);
  assert.deepEqual(log.take(), ["warn web has no members"]);
});

Deno.test("OperatorLog tells what somebody else has changed: members, at most ten, and the file", () => {
  const { log, told } = begin();
  const gone = Array.from({ length: 12 }, (_, i) => command(`add server n${i}`, `n${i} is missing`));
  const files = new Map([["/etc/haproxy.cfg", ""]]);
  told.tellDrift({ files }, [...gone, INSTALL]);
  told.tellDrift({}, [INSTALL]);
  // What is not known as a change is none that was made by hand.
  told.tellDrift({ files }, [command("set server x")]);
  const ten = Array.from({ length: 10 }, (_, i) => `n${i} is missing`).join(", ");
  assert.deepEqual(log.take(), [
    `warn haproxy: not as it was left: ${ten}, 2 changes more, the file /etc/haproxy.cfg was changed; this is put right`,
    "warn haproxy: not as it was left: the file /etc/haproxy.cfg was removed; this is put right",
  ]);
});

Deno.test("OperatorLog tells what was done and why, and leaves failures to others", () => {
  const { log, told } = begin();
  const start: Step = { do: "start", reason: "nobody answers", run: ["haproxy"] };
  const reload: Step = { do: "reload", reason: "frontend web changed", listens: [], how: { run: ["haproxy"] } };
  const failed: StepOutcome = { ok: false, step: start, failure: { kind: "late", message: "it did not end" } };
  told.tellOutcomes([done(command("a")), done(command("b")), done(INSTALL), done(start), failed], {
    tried: false,
    ran: false,
  });
  told.tellOutcomes([done(reload), done(start)], { tried: false, ran: true });
  assert.deepEqual(log.lines, [
    "info haproxy: 2 commands: a, b",
    "debug haproxy: wrote /etc/haproxy.cfg",
    "info haproxy: started, as nobody answers",
    "info haproxy: reloaded, as frontend web changed",
    "warn haproxy: it was gone and is started again, as nobody answers",
  ]);
});

Deno.test("OperatorLog names ten commands, and takes those that were tried before for detail", () => {
  const { log, told } = begin();
  const many = Array.from({ length: 11 }, (_, i) => done(command(`c${i}`)));
  told.tellOutcomes(many, { tried: false, ran: true });
  told.tellOutcomes([done(command("del server a"))], { tried: true, ran: true });
  assert.deepEqual(log.lines, [
    `info haproxy: 11 commands: ${many.slice(0, 10).map((_, i) => `c${i}`).join(", ")}, …`,
    "debug haproxy: 1 command: del server a",
  ]);
});

Deno.test("OperatorLog tells once what a program writes at each run, though pids and lines differ, and counts what is alike", () => {
  const { log, told } = begin();
  const warning = (pid: number, line: number) => `[WARNING] (${pid}) : parsing [/etc/haproxy.cfg:${line}] : is ignored`;
  const install = (...lines: readonly string[]) =>
    told.tellOutcomes([done(INSTALL, lines.join("\n"))], { tried: false, ran: true });
  install(warning(7, 5), warning(7, 9), "", "Warnings were found.", "Note: all is well");
  assert.deepEqual(log.take(), [
    `warn haproxy says: ${warning(7, 5)}`,
    `warn haproxy says: ${warning(7, 9)}`,
  ]);
  install(warning(8, 6), warning(8, 10));
  assert.deepEqual(log.take(), []);
  install(warning(9, 6), warning(9, 10), warning(9, 11));
  assert.deepEqual(log.take(), [`warn haproxy says: ${warning(9, 11)}`]);
});

Deno.test("OperatorLog counts drift and rejected configs from the start, each time", () => {
  const tally = new Tally();
  const told = new OperatorLog("haproxy", new RecordingLogger(), tally);
  const [drift, rejections] = [
    'lighthouse_balancer_drift_total{balancer="haproxy"}',
    'lighthouse_balancer_config_rejections_total{balancer="haproxy"}',
  ];
  assert.deepEqual(samplesOf(tally.collect()), { [drift]: 0, [rejections]: 0 });
  told.tellDrift({}, []);
  for (let i = 0; i < 2; i++) {
    told.tellDrift({}, [command("enable frontend web", "frontend web disabled")]);
    told.tellRefusal({ cluster: "web", faults: [], fate: "kept" }, locate);
  }
  assert.deepEqual(samplesOf(tally.collect()), { [drift]: 2, [rejections]: 2 });
});

Deno.test("OperatorLog lists fifty new notices, and counts the others", () => {
  const { log, told } = begin();
  const notices = Array.from({ length: 9_000 }, (_, i) => ({ text: `c${i} has no members` }));
  told.tellNotices(notices, locate);
  const lines = log.take();
  assert.equal(lines.length, 51);
  assert.deepEqual(lines.slice(-2), [
    "warn c49 has no members",
    "warn haproxy: more notices of the same config, not listed",
  ]);
  told.tellNotices([...notices, { text: "web has no members" }], locate);
  assert.deepEqual(log.take(), ["warn web has no members"]);
});
