/**
 * What is planned for HAProxy: a case is a file in `plan/`, with YAML that says
 * why it is there, what is wanted and what runs, a line `----`, and a step to a
 * line. `UPDATE_GOLDEN=1` writes the last part again.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import { observe } from "../../plugins/balancers/haproxy/observe.ts";
import { plan } from "../../plugins/balancers/haproxy/plan.ts";
import { render, structureMark } from "../../plugins/balancers/haproxy/render.ts";
import type { Step } from "../../src/plugin/contract.ts";
import { caseNames, type CaseWanted, compareCase, readCase, wantedOf } from "../support/balancer_case.ts";

const CASES = new URL("./plan/", import.meta.url);

interface PlanCase {
  /** Why the case is there. */
  readonly why: string;
  /** What is wanted. */
  readonly wanted: CaseWanted;
  /** What the file on disk and, unless `running` says otherwise, the running HAProxy were made of; as wanted if left out. */
  readonly before?: CaseWanted;
  /** What the socket answers; `none` if nobody answers. */
  readonly running?: "none" | {
    /** As wanted if left out. */
    readonly version?: string;
    /** `none` for a process that bears no mark. */
    readonly structure?: "none";
    /** The process that owns it. */
    readonly master?: number;
    /** Backends with servers as `name address:port id N [maint] [drain] [sent SECONDS] [since SECONDS] [down] [no check] [unchecked] [agent]`; those of `before` if left out. */
    readonly backends?: Record<string, readonly string[]>;
    /** Whether its pid is of another container. */
    readonly contained?: boolean;
  };
  /** Processes without a socket. */
  readonly orphans?: readonly number[];
  /** Whether there is no file. */
  readonly no_file?: boolean;
  /** Whether a reload may be planned. Defaults to true. */
  readonly reload?: boolean;
  /** Why the way over the socket has failed. */
  readonly because?: string;
  /** What the running process answered to `add server web/a.int:80`. */
  readonly rejected?: readonly string[];
}

const HEADER = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
  "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
  "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr " +
  "srv_agent_addr srv_agent_port";

Deno.test("the golden plans are at least as many as promised", () => assert.ok(caseNames(CASES).length >= 15));

for (const name of caseNames(CASES)) {
  Deno.test(`plan() of ${name.replace(".txt", "").replaceAll("-", " ")} is as in the golden file`, async () => {
    const path = new URL(name, CASES);
    const golden = await readCase<PlanCase>(path);
    await compareCase(path, golden, show(golden.given));
  });
}

function show({ wanted: asked, before: was, running = {}, orphans, no_file, reload = true, because, rejected = [] }: PlanCase): string {
  const wanted = wantedOf(asked);
  const before = was === undefined ? wanted : wantedOf(was);
  const file = no_file ? undefined : render(before).text;
  const files = new Map(file === undefined ? [] : [[wanted.config.configFile, file]]);
  const seen = running === "none" ? { files, orphans } : {
    files,
    answers: answersOf(running, before),
    masterPid: running.master,
    isContained: running.contained,
  };
  try {
    const steps = plan(wanted, render(wanted), observe(seen, wanted.config), {
      reload,
      because,
      rejected: rejected.map((answer) => ({ command: "add server web/a.int:80", answer, isCurrent: true })),
      sentAgoMs: sentAgoMs(running),
    });
    return steps.length === 0 ? "nothing\n" : steps.map((step) => `${line(step)}\n`).join("");
  } catch (error) {
    return `throws ${(error as Error).message}\n`;
  }
}

/** How long ago the writer sent each drain. */
function sentAgoMs(running: PlanCase["running"]): ReadonlyMap<string, number> {
  const backends = running === undefined || running === "none" ? {} : running.backends ?? {};
  return new Map(Object.entries(backends).flatMap(([backend, servers]) =>
    servers.flatMap((server): [string, number][] => {
      const [, name, seconds] = /^(\S+) .* sent ([0-9]+)/.exec(server) ?? [];
      return seconds === undefined ? [] : [[`set server ${backend}/${name} state drain`, Number(seconds) * 1_000]];
    })
  ));
}

/** What HAProxy would answer to the queries. */
function answersOf(
  running: Exclude<PlanCase["running"], "none" | undefined>,
  before: HaproxyWanted,
): readonly string[] {
  const version = running.version ?? before.version?.join(".") ?? "2.6.12";
  const mark = structureMark(render(before).text);
  const backends = running.backends ?? Object.fromEntries(before.clusters.map(({ name, nodes }) => [
    name,
    nodes.map(({ node: { host, ip, port } }, index) => `${host}:${port} ${ip}:${port} id ${index + 1}`),
  ]));
  const rows = Object.entries(backends).flatMap(([backend, servers], index) =>
    servers.map((server) => {
      const match = /^(\S+) (\S+):([0-9]+) id ([0-9]+)(.*)$/.exec(server);
      assert(match !== null, server);
      const [, name, address, port, id, flags = ""] = match;
      const admin = (flags.includes("maint") ? 1 : 0) + (flags.includes("drain") ? 8 : 0);
      const check = flags.includes("no check") ? 0 : flags.includes("unchecked") ? 2 : 6;
      const since = Number(/ since ([0-9]+)/.exec(flags)?.[1] ?? 0);
      const agent = flags.includes("agent") ? 22 : 0;
      const [, weight, given = weight] = / weight ([0-9]+)(?: of ([0-9]+))?/.exec(flags) ??
        [, weightIn(before, backend), undefined];
      return `${
        index + 3
      } ${backend} ${id} ${name} ${address} ${flags.includes("down") ? 0 : 2} ${admin} ${weight} ${given} ${since} 1 0 2 ${check} ${agent} 0 0 - ${port} - 0 0 - - 0`;
    })
  );
  return [
    `Name: HAProxy\nVersion: ${version}-1\nPid: 4711\nUptime: 0d 0h00m10s`,
    running.structure === "none" || mark === undefined ? "Variable not found" : `LIGHTHOUSE_STRUCTURE=${mark}`,
    ["# name", ...Object.keys(backends)].join("\n"),
    ["1", HEADER, ...rows].join("\n"),
  ];
}

/** The weight that the lines of a backend give its servers. */
function weightIn({ config: { defaults }, clusters }: HaproxyWanted, backend: string): string {
  const config = clusters.find(({ name }) => name === backend || `${name}:panic` === backend)?.config;
  return /\bweight ([0-9]+)/.exec([...defaults, ...config?.backend ?? [], config?.serverOptions].join("\n"))?.[1] ?? "1";
}

function line(step: Step): string {
  switch (step.do) {
    case "command":
      return `command ${step.command}${step.found === undefined ? "" : `, as ${step.found}`}`;
    case "install":
      return `install ${step.when} ${step.path}, checked by ${step.check.join(" ") || "the start"}${filesOf(step)}`;
    case "start":
      return `start by ${step.run.join(" ")}${deadlineOf(step)}: ${step.reason}`;
    case "reload": {
      const { how, then = [] } = step;
      const by = "run" in how
        ? how.run.join(" ") + deadlineOf(how)
        : "ask" in how
        ? `the master at ${how.ask}`
        : `${how.signal} to ${how.pid}`;
      const told = then.map(({ command }) => `\nthen tell it ${command}`).join("");
      const listens = step.listens.length === 0 ? "" : ` if it can listen on ${step.listens.join(" and ")}`;
      return `reload by ${by}${listens}: ${step.reason}${told}`;
    }
    default:
      assert.fail(`HAProxy has no use for the step ${step.do}`);
  }
}

function filesOf({ openFiles }: Step & { do: "install" }): string {
  if (openFiles === undefined) return "";
  return ` if ${openFiles.of === undefined ? "we" : `process ${openFiles.of}`} may have ${openFiles.needed} files open`;
}

function deadlineOf({ deadlineMs }: { readonly deadlineMs?: number | undefined }): string {
  return deadlineMs === undefined ? "" : ` within ${deadlineMs} ms`;
}
