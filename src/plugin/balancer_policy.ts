import { quote } from "../model/node.ts";
import type { BalancerSources, PermissionRequest, Seen, Step } from "./contract.ts";

/** Stands in a check command for the file that is checked. */
const CANDIDATE = "%";

/**
 * Says what of a balancer's sources goes beyond what it was granted: the host
 * would read and write that file, ask that socket, run that program for it. Pure.
 */
export function sourceFaults(
  { socket, file, alsoWrites = [], program }: BalancerSources,
  granted: PermissionRequest,
): readonly string[] {
  return [
    ...[file, ...alsoWrites].filter((path) => !isWithin(path, granted.write ?? [])).map((path) =>
      `write ${quote(path)}`
    ),
    ...granted.net?.includes(`unix:${socket}`) ? [] : [`ask the socket ${quote(socket)}`],
    ...runFaults(program, granted),
  ];
}

/** What is known of the balancer that a plan is for. */
export interface PlanCase {
  /** What the plugin was granted. */
  readonly granted: PermissionRequest;
  /** Where the host looked. */
  readonly sources: BalancerSources;
  /** What it saw there. */
  readonly seen: Seen;
}

/**
 * Says what of a step goes beyond what a balancer's plugin was granted;
 * `undefined` if nothing does. A command goes to the granted socket and nowhere
 * else, so it may say what it likes there. Pure.
 */
export function stepFault(step: Step, { granted, sources, seen }: PlanCase): string | undefined {
  switch (step.do) {
    case "command":
      return sources.speaks === "http" ? "send a command to a socket that speaks http" : undefined;
    case "install": {
      const [program, ...args] = step.check;
      if (!isWithin(step.path, granted.write ?? [])) return `install ${quote(step.path)}`;
      if (program === undefined) return "install a file that no program checks";
      if (!args.includes(CANDIDATE)) return `check a file by a command that does not name it (${CANDIDATE})`;
      return runFaults(program, granted)[0];
    }
    case "start":
      return runFaults(step.run[0], granted)[0] ?? masterFault(step.master, granted);
    case "reload": {
      for (const command of step.then ?? []) {
        const fault = stepFault(command, { granted, sources, seen });
        if (fault !== undefined) return fault;
      }
      if ("run" in step.how) return runFaults(step.how.run[0], granted)[0];
      if ("master" in step.how) return masterFault(step.how.master, granted);
      return step.how.pid === seen.masterPid ? undefined : `signal process ${step.how.pid}, which is not its master`;
    }
  }
}

function masterFault(master: string | undefined, { net = [] }: PermissionRequest): string | undefined {
  return master === undefined || net.includes(`unix:${master}`) ? undefined : `ask the master at ${quote(master)}`;
}

function runFaults(program: string | undefined, { run = [] }: PermissionRequest): readonly string[] {
  return program !== undefined && run.includes(program) ? [] : [`run ${quote(program)}`];
}

/** Whether a file is one of those granted, or in a directory that is. A path with a second way of saying it is none. */
function isWithin(file: string, granted: readonly string[]): boolean {
  if (!/^\/(?!$)(?!.*(?:\/\/|\/\.{1,2}(?:\/|$)))/.test(file)) return false;
  return granted.map((each) => each.replace(/\/$/, "")).some((each) => file === each || file.startsWith(`${each}/`));
}
