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

Deno.test("OperatorLog logs a fault once until all is well in between, and ignores a difference in the pid", () => {
  const { log, told } = begin();
  told.tellFault("Process (17) does not answer");
  told.tellFault("Process (18) does not answer");
  assert.deepEqual(log.lines, ["error Process (17) does not answer", "debug Process (18) does not answer"]);
  log.take();
  told.forgetFaults();
  told.tellFault("Process (19) does not answer");
  assert.deepEqual(log.take(), ["error Process (19) does not answer"]);
});

Deno.test("OperatorLog remembers at most a thousand texts", () => {
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

Deno.test("OperatorLog logs of a rejected config whose it is, what happens to it, and the first five faults with their places", () => {
  const { log, told } = begin();
  const fault = (line: number) => ({ message: `no ${line}`, origin: { cluster: "web", path: [line] }, remedy: [] });
  told.tellRefusal({ cluster: "web", faults: [fault(1)], fate: "kept" }, locate);
  told.tellRefusal({ cluster: undefined, faults: [{ message: "it is torn", remedy: [] }], fate: "nothing" }, locate);
  told.tellRefusal({ cluster: "api", faults: [1, 2, 3, 4, 5, 6, 7].map(fault), fate: "put aside" }, (_, text) => text);
  assert.deepEqual(log.take(), [
    "error Config of cluster web rejected; last accepted config stays active: clusters/web.yaml:1: no 1",
    "error Config rejected; no accepted config to fall back to: it is torn",
    "error Config of cluster api rejected; cluster not served: no 1; no 2; no 3; no 4; no 5; and 2 more",
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
    `error clusters/web.yaml:3: ${message}; cluster web is not served`,
    `error clusters/web.yaml:3: ${message}; last accepted config stays active`,
    `error ${message}; listener skipped until the address is free`,
  ]);
});

Deno.test("OperatorLog logs a notice when it is new, and again when it has come back", () => {
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

Deno.test("OperatorLog logs what somebody else has changed: members, at most ten, and the file", () => {
  const { log, told } = begin();
  const gone = Array.from({ length: 12 }, (_, i) => command(`add server n${i}`, `n${i} is missing`));
  const files = new Map([["/etc/haproxy.cfg", ""]]);
  told.tellDrift({ files }, [...gone, INSTALL]);
  told.tellDrift({}, [INSTALL]);
  // What is not known as a change was not made by hand.
  told.tellDrift({ files }, [command("set server x")]);
  const ten = Array.from({ length: 10 }, (_, i) => `n${i} is missing`).join(", ");
  assert.deepEqual(log.records.map(({ level, properties }) => [level, properties?.["found"]]), [
    ["warn", `${ten}, 2 more changes, file /etc/haproxy.cfg changed`],
    ["warn", "file /etc/haproxy.cfg removed"],
  ]);
});

Deno.test("OperatorLog logs what was done and why, and no failures", () => {
  const { log, told } = begin();
  const start: Step = { do: "start", reason: "nobody answers", run: ["haproxy"] };
  const reload: Step = { do: "reload", reason: "frontend web changed", listens: [], how: { run: ["haproxy"] } };
  const failed: StepOutcome = { ok: false, step: start, failure: { kind: "late", message: "did not exit" } };
  told.tellOutcomes([done(command("a")), done(command("b")), done(INSTALL), done(start), failed], {
    tried: false,
    ran: false,
  });
  told.tellOutcomes([done(reload), done(start)], { tried: false, ran: true });
  assert.deepEqual(log.records.map(({ level, properties: { tookMs: _, ...fields } = {} }) => [level, fields]), [
    ["info", { event: "balancer.commands", count: 2, commands: "a, b" }],
    ["debug", { event: "balancer.file_written", path: "/etc/haproxy.cfg" }],
    ["info", { event: "balancer.started", reason: "nobody answers" }],
    ["info", { event: "balancer.reloaded", reason: "frontend web changed" }],
    ["warn", { event: "balancer.restarted", reason: "nobody answers" }],
  ]);
});

Deno.test("OperatorLog lists ten commands, and logs commands that were tried before as detail", () => {
  const { log, told } = begin();
  const many = Array.from({ length: 11 }, (_, i) => done(command(`c${i}`)));
  told.tellOutcomes(many, { tried: false, ran: true });
  told.tellOutcomes([done(command("del server a"))], { tried: true, ran: true });
  assert.deepEqual(
    log.records.map(({ level, properties }) => [level, properties?.["count"], properties?.["commands"]]),
    [
      ["info", 11, `${many.slice(0, 10).map((_, i) => `c${i}`).join(", ")}, …`],
      ["debug", 1, "del server a"],
    ],
  );
});

Deno.test("OperatorLog logs once what a program writes at each run, ignoring pids and line numbers, and counts repeated lines", () => {
  const { log, told } = begin();
  const warning = (pid: number, line: number) => `[WARNING] (${pid}) : parsing [/etc/haproxy.cfg:${line}] : is ignored`;
  const install = (...lines: readonly string[]) =>
    told.tellOutcomes([done(INSTALL, lines.join("\n"))], { tried: false, ran: true });
  const warned = () =>
    log.records.splice(0).filter(({ level }) => level === "warn").map(({ properties }) => properties?.["line"]);
  install(warning(7, 5), warning(7, 9), "", "Warnings were found.", "Note: all is well");
  assert.deepEqual(warned(), [warning(7, 5), warning(7, 9)]);
  install(warning(8, 6), warning(8, 10));
  assert.deepEqual(warned(), []);
  install(warning(9, 6), warning(9, 10), warning(9, 11));
  assert.deepEqual(warned(), [warning(9, 11)]);
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
    "warn More notices about this config, not logged",
  ]);
  told.tellNotices([...notices, { text: "web has no members" }], locate);
  assert.deepEqual(log.take(), ["warn web has no members"]);
});
