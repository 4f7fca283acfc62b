import type { PlanAllowance, Step } from "../../../mod.ts";
import type { HaproxyWanted } from "./config.ts";
import { planFrontends } from "./frontends.ts";
import { planMembership } from "./membership.ts";
import type { Observed, RunningHaproxy } from "./observe.ts";
import { carryOver, localPeer, openFiles, reloadWay, startStep } from "./processes.ts";
import { type HaproxyFile, structureMark } from "./render.ts";
import { served } from "./serve.ts";
import { describeDifference, newListeners, skeleton } from "./structure.ts";

/** The mode of the file: it may contain the password of the statistics page. */
export const FILE_MODE = 0o640;

/**
 * Plans the shortest way from the observed to the desired state: members over the socket, anything else by a
 * file that HAProxy has accepted and a reload with its reason. Pure, so that a dry run and the tests print
 * the very steps.
 */
export function plan(
  wanted: HaproxyWanted,
  rendered: HaproxyFile,
  { running, file, orphans }: Observed,
  { reload, because, rejected = [], sentAgoMs }: PlanAllowance,
): readonly Step[] {
  const differs = file !== rendered.text;
  const installAs = (when: "now" | "soon", isChecked = true) =>
    differs ? [install(wanted, rendered, { running, when, isChecked })] : [];
  if (running === undefined) {
    // Without a process and a file nothing can be lost, and HAProxy's own start is the check.
    const startProves = file === undefined && orphans.length === 0 && wanted.config.reloadCommand === undefined;
    return [
      ...installAs("now", !startProves),
      startStep(wanted, { orphans, listens: newListeners("", rendered.text) }),
    ];
  }
  const structural = structuralReason(wanted, rendered.text, running, file);
  const marked = structural === undefined && structureMark(rendered.text) !== undefined;
  const clusters = served(wanted);
  const membership = planMembership(clusters, running, { marked, rejected, sentAgoMs });
  const listening = marked ? planFrontends(running) : { steps: [], reloadReasons: [] };
  const reason = because ?? structural ?? listReason([...listening.reloadReasons, ...membership.reloadReasons]);
  if (reason !== undefined && reload) {
    // What the running process listens on is known only if it runs the file's config.
    const known = file !== undefined && structureMark(file) !== undefined && structureMark(file) === running.structure;
    const listens = known ? newListeners(file, rendered.text) : [];
    const then = carryOver(clusters, running);
    const how = reloadWay(wanted, running, reason);
    const cause = because !== undefined ? "forced" : structural !== undefined ? "structure" : "members";
    return [...installAs("now"), { do: "reload", reason, cause, listens, how, ...then.length === 0 ? {} : { then } }];
  }
  // A file that differs from the running config waits for the reload that makes it true.
  return [...listening.steps, ...membership.steps, ...reason === undefined ? installAs("soon") : []];
}

function install(
  wanted: HaproxyWanted,
  rendered: HaproxyFile,
  { running, when, isChecked }: {
    readonly running: RunningHaproxy | undefined;
    readonly when: "now" | "soon";
    readonly isChecked: boolean;
  },
): Step {
  const { config: { program, configFile: path }, host, version } = wanted;
  const check = isChecked ? [program, "-c", "-f", "%", ...localPeer(host.fqdn, version)] : [];
  const files = openFiles(wanted, rendered, running);
  const needs = files === undefined ? {} : { openFiles: files };
  return { do: "install", path, contents: rendered.text, mode: FILE_MODE, check, when, ...needs };
}

/** Returns what needs a reload besides members, or `undefined` if nothing does. */
function structuralReason(
  wanted: HaproxyWanted,
  text: string,
  running: RunningHaproxy,
  file: string | undefined,
): string | undefined {
  const mark = structureMark(text);
  if (mark === undefined) {
    // HAProxy before 1.8 cannot report it; the installed file counts as the running config.
    return file !== undefined && skeleton(file) === skeleton(text)
      ? undefined
      : describeDifference(file ?? "", text) ?? "the config file was changed";
  }
  if (running.structure === mark) return undefined;
  if (running.structure === undefined) {
    return "the running HAProxy was started from a config file that Lighthouse did not write";
  }
  const told = file !== undefined && structureMark(file) === running.structure
    ? describeDifference(file, text)
    : undefined;
  if (told === undefined) return "the running HAProxy was started from another config file";
  return [upgrade(wanted, running) ?? [], told].flat().join(": ");
}

/** Reports that the installed HAProxy is not the running one, which may be why the file changes. */
function upgrade({ version: installed }: HaproxyWanted, { version: runs }: RunningHaproxy): string | undefined {
  if (installed === undefined || runs === undefined) return undefined;
  if (installed[0] === runs[0] && installed[1] === runs[1]) return undefined;
  return `HAProxy ${installed.join(".")} is installed, but ${runs.join(".")} is running`;
}

function listReason(reasons: readonly string[]): string | undefined {
  return reasons.length === 0 ? undefined : reasons.join("; ");
}
