import { quote } from "../model/node.ts";
import type { AskedReload, BalancerSources, PermissionRequest, Seen, Step } from "./contract.ts";

/** Stands in a check command for the file that is checked. */
const CANDIDATE = "%";

/**
 * What the pid file of a child ends in. The host ends whatever process such a
 * file names, so that no plugin may write one: not even before its sources
 * name it, nor before a restart.
 */
const PID_FILE_SUFFIX = ".pid";

/**
 * Says what of a balancer's sources goes beyond what it was granted: the host
 * would read and write that file, ask that socket, run that program for it. Pure.
 */
export function sourceFaults(sources: BalancerSources, granted: PermissionRequest): readonly string[] {
  const { net = [], read = [], write = [] } = granted;
  const isProcess = sources.kind === "process";
  const written = [
    sources.file,
    ...sources.moreFiles ?? [],
    ...isProcess ? sources.alsoWrites ?? [] : [],
    ...(sources.children ?? []).map(({ pidFile }) => pidFile),
  ];
  const faults = written.filter((path) => !isWithin(path, write)).map((path) => `write ${quote(path)}`);
  for (const { pidFile } of sources.children ?? []) {
    if (!pidFile.endsWith(PID_FILE_SUFFIX)) {
      faults.push(`keep the pid of a child in ${quote(pidFile)}, which does not end in ${PID_FILE_SUFFIX}`);
    }
  }
  if (!isProcess) return faults;
  const { contact } = sources;
  if (contact.by === "pid") {
    if (!isWithin(contact.pidFile, [...read, ...write])) faults.push(`read ${quote(contact.pidFile)}`);
  } else if (!net.includes(`unix:${contact.socket}`)) faults.push(`ask the socket ${quote(contact.socket)}`);
  return [...faults, ...runFaults(sources.program, granted)];
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
      if (sources.kind === "files") return "send a command where there are files alone";
      return sources.contact.by === "commands"
        ? undefined
        : `send a command to what is asked by ${sources.contact.by} alone`;
    case "install": {
      const [program, ...args] = step.check;
      if (!isWithin(step.path, granted.write ?? [])) return `install ${quote(step.path)}`;
      if (step.path.endsWith(PID_FILE_SUFFIX)) return `install the pid file ${quote(step.path)}`;
      // Where no program is started from a file there may be none that could check it.
      if (program === undefined && sources.kind === "files") return undefined;
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
      if ("ask" in step.how) return masterFault(step.how, granted);
      // Both were looked up by the host: a pid that the plugin has read in an answer may be anybody's.
      const own = [seen.masterPid, seen.pid].filter((pid) => pid !== undefined);
      return own.includes(step.how.pid) ? undefined : `signal process ${step.how.pid}, which is not its master`;
    }
    case "notify":
      return runFaults(step.run[0], granted)[0];
    case "supervise":
      if (!sources.children?.some(({ name }) => name === step.name)) {
        return `start the child process ${quote(step.name)}, which its sources do not have`;
      }
      return step.run.length === 0 ? undefined : runFaults(step.run[0], granted)[0];
  }
}

function masterFault(master: AskedReload | undefined, { net = [] }: PermissionRequest): string | undefined {
  return master === undefined || net.includes(`unix:${master.ask}`)
    ? undefined
    : `ask the master at ${quote(master.ask)}`;
}

function runFaults(program: string | undefined, { run = [] }: PermissionRequest): readonly string[] {
  return program !== undefined && run.includes(program) ? [] : [`run ${quote(program)}`];
}

/** Whether a file is one of those granted, or in a directory that is. A path with a second way of saying it is none. */
function isWithin(file: string, granted: readonly string[]): boolean {
  if (!/^\/(?!$)(?!.*(?:\/\/|\/\.{1,2}(?:\/|$)))/.test(file)) return false;
  return granted.map((each) => each.replace(/\/$/, "")).some((each) => file === each || file.startsWith(`${each}/`));
}
