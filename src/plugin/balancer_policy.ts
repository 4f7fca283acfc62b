import { quote } from "../model/node.ts";
import type { AskedReload, BalancerSources, PermissionRequest, Seen, Step } from "./contract.ts";

/** Placeholder in a check command for the candidate file. */
const CANDIDATE = "%";

/**
 * Suffix of the pid file of a child process. The host ends whatever process such a file names, so no
 * plugin may write one: not even before its sources name it, nor before a restart.
 */
const PID_FILE_SUFFIX = ".pid";

/**
 * Returns what of a balancer's sources exceeds its grants: the host would read and write that file,
 * query that socket, run that program for it. Pure.
 */
export function sourceFaults(sources: BalancerSources, granted: PermissionRequest): readonly string[] {
  const { net = [], read = [], write = [] } = granted;
  const isProcess = sources.kind === "process";
  const written = [
    sources.file,
    ...sources.moreFiles ?? [],
    ...isProcess ? sources.alsoWrites ?? [] : [],
    ...sources.directory === undefined ? [] : [sources.directory.path],
    ...(sources.children ?? []).map(({ pidFile }) => pidFile),
  ];
  const faults = written.filter((path) => !isWithin(path, write)).map((path) => `write ${quote(path)}`);
  for (const { pidFile } of sources.children ?? []) {
    if (!pidFile.endsWith(PID_FILE_SUFFIX)) {
      faults.push(`write the pid of a child process to ${quote(pidFile)} (must end in ${PID_FILE_SUFFIX})`);
    }
  }
  if (!isProcess) return faults;
  const { contact } = sources;
  if (contact.by === "pid") {
    if (!isWithin(contact.pidFile, [...read, ...write])) faults.push(`read ${quote(contact.pidFile)}`);
  } else if (!net.includes(`unix:${contact.socket}`)) faults.push(`query the socket ${quote(contact.socket)}`);
  return [...faults, ...runFaults(sources.program, granted)];
}

/** The balancer that a plan is for. */
export interface PlanCase {
  readonly granted: PermissionRequest;
  /** Where the host looked. */
  readonly sources: BalancerSources;
  /** What the host saw there. */
  readonly seen: Seen;
}

/**
 * Returns how a step exceeds the grants of a balancer's plugin; `undefined` if it does not. A command
 * goes only to the granted socket, so its text is not restricted. Pure.
 */
export function stepFault(step: Step, { granted, sources, seen }: PlanCase): string | undefined {
  switch (step.do) {
    case "command":
      if (sources.kind === "files") return "send a command to a balancer without a process";
      return sources.contact.by === "commands"
        ? undefined
        : `send a command to a balancer that is queried by ${sources.contact.by}`;
    case "install": {
      const [program, ...args] = step.check;
      if (!isWithin(step.path, granted.write ?? [])) return `install ${quote(step.path)}`;
      if (step.path.endsWith(PID_FILE_SUFFIX)) return `install the pid file ${quote(step.path)}`;
      // A balancer without a program may have nothing to check a file with.
      if (program === undefined && sources.kind === "files") return undefined;
      if (program === undefined) return "install a file without a check command";
      if (!args.includes(CANDIDATE)) return `check a file with a command that lacks the placeholder ${CANDIDATE}`;
      return runFaults(program, granted)[0];
    }
    case "remove": {
      const { path = "", suffix = "" } = sources.directory ?? {};
      const isOwn = path !== "" && isWithin(step.path, [path]) && isWithin(step.path, granted.write ?? []) &&
        step.path.endsWith(suffix) && !step.path.slice(path.length + 1).includes("/");
      return isOwn ? undefined : `remove ${quote(step.path)}`;
    }
    case "start": {
      const stranger = step.relieves?.find((pid) => !seen.orphans?.includes(pid));
      if (stranger !== undefined) return `signal process ${stranger} (not one of its orphan processes)`;
      return runFaults(step.run[0], granted)[0] ?? masterFault(step.master, granted);
    }
    case "reload": {
      for (const command of step.then ?? []) {
        const fault = stepFault(command, { granted, sources, seen });
        if (fault !== undefined) return fault;
      }
      if ("run" in step.how) return runFaults(step.how.run[0], granted)[0];
      if ("ask" in step.how) return masterFault(step.how, granted);
      // Both were found by the host: a pid that the plugin read in an answer may be any process.
      const own = [seen.masterPid, seen.pid].filter((pid) => pid !== undefined);
      return own.includes(step.how.pid) ? undefined : `signal process ${step.how.pid} (not a process of this balancer)`;
    }
    case "notify": {
      const restored = (step.rollback ?? []).find(({ path }) =>
        !isWithin(path, granted.write ?? []) || path.endsWith(PID_FILE_SUFFIX)
      );
      return restored === undefined ? runFaults(step.run[0], granted)[0] : `install ${quote(restored.path)}`;
    }
    case "supervise":
      if (!sources.children?.some(({ name }) => name === step.name)) {
        return `start the child process ${quote(step.name)} (not listed in its sources)`;
      }
      return step.run.length === 0 ? undefined : runFaults(step.run[0], granted)[0];
  }
}

function masterFault(master: AskedReload | undefined, { net = [] }: PermissionRequest): string | undefined {
  return master === undefined || net.includes(`unix:${master.ask}`)
    ? undefined
    : `query the master at ${quote(master.ask)}`;
}

function runFaults(program: string | undefined, { run = [] }: PermissionRequest): readonly string[] {
  return program !== undefined && run.includes(program) ? [] : [`run ${quote(program)}`];
}

/** Whether a file is granted, or in a granted directory. A path that is not normalized is not. */
function isWithin(file: string, granted: readonly string[]): boolean {
  if (!/^\/(?!$)(?!.*(?:\/\/|\/\.{1,2}(?:\/|$)))/.test(file)) return false;
  return granted.map((each) => each.replace(/\/$/, "")).some((each) => file === each || file.startsWith(`${each}/`));
}
