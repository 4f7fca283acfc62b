import { type BalancerDryRun, dryRun } from "../app/dry_run.ts";
import type { Identity } from "../app/host_facts.ts";
import { logDiagnostic } from "../app/intake.ts";
import { makeBalancerPlugins } from "../app/plugins.ts";
import { validateDirectory } from "../app/validate.ts";
import { applyMasks, lineMasks } from "../config/redact.ts";
import type { Logger } from "../kernel/logger.ts";
import type { HostSettings } from "../config/desired.ts";
import { lineDiff } from "../kernel/line_diff.ts";
import { nodeName } from "../model/node.ts";
import type { ReloadWay, Step } from "../plugin/contract.ts";
import { rotation, shareWords } from "./explain_text.ts";

export interface PlanOptions {
  readonly dir: string;
  /** How long the registries may take to answer. */
  readonly waitMs: number;
  /** Determines the identity of this host, given the settings of `host.yaml`. */
  readonly identify: (said: HostSettings) => Promise<Identity>;
  readonly log: Logger;
  /** Receives each line, without a newline. */
  readonly print: (line: string) => void;
}

/** Prints the file and the steps of each balancer, and touches nothing; answers the exit code. */
export async function plan({ dir, waitMs, identify, log, print }: PlanOptions): Promise<0 | 1> {
  await using balancerPlugins = makeBalancerPlugins({ log });
  const { accepted, diagnostics } = await validateDirectory(dir, { role: "writer", balancerPlugins });
  for (const diagnostic of diagnostics) {
    logDiagnostic(log, diagnostic);
  }
  if (accepted === undefined) return 1;
  if (accepted.balancers.size === 0) {
    log.error("Nothing to plan: no balancer is configured", {
      event: "plan.nothing",
      wanted: `${dir}/balancers/haproxy.yaml`,
    });
    return 1;
  }
  const { balancers, silent, silentKeys, unreachable } = await dryRun(accepted, {
    host: (await identify(accepted.host)).facts,
    waitMs,
    log,
  });
  for (const { discovery, detail } of unreachable) {
    log.error("Registry unreachable", { event: "plan.unreachable", discovery, detail });
  }
  if (silent.length > 0) {
    log.warn("No data for some clusters; planning with their last known good members", {
      event: "plan.incomplete",
      clusters: silent.join(", "),
      waitMs,
    });
  }
  if (silentKeys.length > 0) {
    log.warn("No keys reported for some prefixes; their files are not rendered", {
      event: "plan.incomplete",
      keys: silentKeys.join(", "),
      waitMs,
    });
  }
  for (const { balancer, running, hasProcess, files, steps, rendered, leftAlone, shares, pause } of balancers) {
    const answers = running ? "running, responds on its socket" : "not running, no response on its socket";
    print(`# ${balancer}: ${hasProcess ? answers : "files"}`);
    if (pause !== undefined) {
      print(`# management paused by ${pause.author}, no steps until the pause ends: ${pause.reason}`);
    }
    print(`# steps: ${steps.length === 0 ? "none, in sync" : ""}`);
    for (const step of steps) print(`#   ${describeStep(step)}`);
    for (const [cluster, nodes] of shares) {
      print(`# current shares of ${cluster}:${nodes.length === 0 ? " none, no nodes" : ""}`);
      for (const node of nodes) print(`#   ${describeShare(node)}`);
    }
    if (leftAlone.length > 0) {
      print(`# clusters left unchanged because of an invalid config: ${leftAlone.join(", ")}`);
    }
    for (const notice of rendered.notices) print(`# notice: ${notice.text}`);
    for (const fault of rendered.faults ?? []) print(`# error: ${fault.text}`);
    if (!hasProcess) {
      printDiffs(steps, files, print);
      continue;
    }
    for (const [path, { text }] of rendered.files) {
      print(`# --- ${path} ---`);
      // The output may be shared, so secrets are masked.
      for (const line of text.trimEnd().split("\n")) print(applyMasks(line, lineMasks(line)));
    }
  }
  const isFaulty = balancers.some(({ rendered }) => (rendered.faults ?? []).length > 0);
  return unreachable.length > 0 || isFaulty || diagnostics.some(({ severity }) => severity === "error") ? 1 : 0;
}

/** Prints how files would change: what is printed may be passed on; the files themselves keep their secrets. */
function printDiffs(
  steps: readonly Step[],
  files: ReadonlyMap<string, string>,
  print: (line: string) => void,
): void {
  for (const step of steps) {
    if (step.do !== "install" || files.get(step.path) === step.contents) continue;
    print(`--- ${files.has(step.path) ? step.path : "/dev/null"}`);
    print(`+++ ${step.path}`);
    for (const line of lineDiff(files.get(step.path) ?? "", step.contents)) print(applyMasks(line, lineMasks(line)));
  }
}

/** What one node gets. */
type PlannedShare = NonNullable<ReturnType<BalancerDryRun["shares"]["get"]>>[number];

/** Writes what a node gets for a person, in the words of `explain`. */
function describeShare({ node, weight, share, state, pool, isDown, factors, from }: PlannedShare): string {
  const said = {
    share,
    weight: weight ?? null,
    state,
    waits: pool === "overflow",
    down: isDown,
    factors: factors.map(({ name, value, detail = null }) => ({ name, value, detail })),
  };
  return [
    nodeName(node),
    rotation(said),
    ...shareWords(said),
    ...from === undefined ? [] : [`of cluster ${from}`],
  ].join("  ");
}

/** Writes a step for a person. */
export function describeStep(step: Step): string {
  switch (step.do) {
    case "command":
      return `send: ${step.command}`;
    case "install": {
      const when = step.when === "soon" ? ", within a second" : "";
      const checker = step.check.length === 0 ? "" : `, after validation with: ${step.check.join(" ")}`;
      return `install ${step.path}${when}${checker}`;
    }
    case "remove":
      return `remove ${step.path}`;
    case "start":
      return `start (${step.reason}): ${step.master === undefined ? "" : `${describeWay(step.master)}, otherwise `}` +
        step.run.join(" ");
    case "reload": {
      return `reload (${step.reason}): ${describeWay(step.how)}`;
    }
    case "notify":
      return `notify (${step.reason}): ${step.run.join(" ")}`;
    case "supervise":
      return `${step.run.length === 0 ? "stop" : "run"} child process ${step.name} (${step.reason}): ${
        step.run.join(" ")
      }`;
  }
}

function describeWay(how: ReloadWay): string {
  if ("run" in how) return how.run.join(" ");
  return "ask" in how ? `reload through the master socket ${how.ask}` : `${how.signal} to ${how.pid}`;
}
