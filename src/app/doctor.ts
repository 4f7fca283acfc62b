/**
 * What usually goes wrong on a host, looked for before it does. Each check looks
 * at one thing, changes nothing, and says how to fix what it finds.
 *
 * @module
 */
import { counted } from "../kernel/counted.ts";
import { Executor } from "../balance/executor.ts";
import { findOrphans } from "../balance/placing.ts";
import { runProgram } from "../balance/program.ts";
import { programName, socketOf } from "../balance/sources.ts";
import { findTakenAddress } from "../balance/taken_address.ts";
import { findWritingObstacles } from "../balance/written_paths.ts";
import type { Accepted, AcceptedBalancer } from "../config/accepted.ts";
import type { HostSettings } from "../config/desired.ts";
import type { Clock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { SILENT } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { abortable } from "../kernel/within.ts";
import { formatEndpoint } from "../model/endpoint.ts";
import type { BalancerSources, Listening, ProcessSources } from "../plugin/contract.ts";
import type { PluginInstance } from "../plugin/instance.ts";
import { Fleet } from "../supervisor/fleet.ts";
import { groupInstances } from "../supervisor/reconcile.ts";
import { findListeners, findSocketOwners } from "../system/listeners.ts";
import { readOpenFiles } from "../system/open_files.ts";
import { findMissingTools, look, readArguments, readOpenFilesLimit } from "../system/processes.ts";
import type { Identity } from "./host_facts.ts";
import type { Validated } from "./validate.ts";

/** What a check says. */
export interface DoctorFinding {
  /** The check: `haproxy`, `ports`, `registry zookeeper`. */
  readonly check: string;
  readonly level: "ok" | "warning" | "error";
  readonly text: string;
  /** The command, or the edit, that fixes it. */
  readonly fix?: string | undefined;
}

/** A process of this host that answers. */
export interface RunningProcess {
  readonly role: "writer" | "reporter" | "run";
  readonly pid: number;
  /** How many workers it has. */
  readonly workers: number;
}

export interface DoctorOptions {
  readonly dir: string;
  readonly directory: Validated;
  /** What answers; those that do not are said elsewhere. */
  readonly processes: readonly RunningProcess[];
  readonly identify: (said: HostSettings) => Promise<Identity>;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** The versions of HAProxy that the tests run with. */
export const TESTED_HAPROXY: readonly string[] = ["2.6", "3.0", "3.2", "3.4"];
/** How long one check may take. */
const CHECK_DEADLINE_MS = 10_000;
const PROGRAM_DEADLINE_MS = 5_000;
/** A registry that takes longer to connect is slow. */
const SLOW_MS = 1_000;
/** Descriptors of the process itself, and of each worker. */
const OWN_FILES = 128, WORKER_FILES = 8;
/** Where the shipped units have these names. */
const UNITS: Readonly<Record<RunningProcess["role"], string>> = {
  writer: "lighthouse-writer.service",
  reporter: "lighthouse-reporter.service",
  run: "lighthouse.service",
};

type Check = (options: DoctorOptions, signal: AbortSignal) => Promise<readonly DoctorFinding[]>;

/** Makes all checks; one that cannot be made says so. */
export async function examine(options: DoctorOptions): Promise<readonly DoctorFinding[]> {
  const { clock, directory: { accepted } } = options;
  const checks: readonly (readonly [string, Check])[] = [
    ["config", checkConfig],
    ["tools", checkTools],
    ["host", checkHost],
    ["clock", checkClock],
    ["descriptors", checkDescriptors],
    ["units", checkUnits],
    ...[...accepted?.balancers ?? []].map(([name, balancer]) =>
      [
        `balancer ${name}`,
        (given: DoctorOptions, signal: AbortSignal) => checkBalancer(name, balancer, given, signal),
      ] as const
    ),
    ...[...accepted?.discovery ?? []].map(([name, { instance }]) =>
      [
        `registry ${name}`,
        (given: DoctorOptions, signal: AbortSignal) => checkRegistry(name, instance, given, signal),
      ] as const
    ),
  ];
  const found = await Promise.all(checks.map(async ([check, make]) => {
    using late = deadline(CHECK_DEADLINE_MS, { clock, signal: options.signal });
    try {
      return await abortable(make(options, late.signal), late.signal);
    } catch (error) {
      options.signal.throwIfAborted();
      const why = late.signal.aborted ? `no result within ${CHECK_DEADLINE_MS / 1_000}s` : reasonOf(error);
      return [{ check, level: "warning", text: `Cannot check: ${why}` } as const];
    }
  }));
  return found.flat();
}

const checkConfig: Check = ({ dir, directory: { accepted, diagnostics } }) => {
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const warnings = diagnostics.filter(({ severity }) => severity === "warning").length;
  const fix = `lighthouse check ${dir}`;
  const finding: DoctorFinding = accepted === undefined
    ? { check: "config", level: "error", text: `Cannot read the config directory ${dir}`, fix }
    : errors > 0
    ? {
      check: "config",
      level: "error",
      text: `${counted(errors, "error")} and ${counted(warnings, "warning")} in ${dir}`,
      fix,
    }
    : warnings > 0
    ? { check: "config", level: "warning", text: `${counted(warnings, "warning")} in ${dir}`, fix }
    : { check: "config", level: "ok", text: `${dir} is valid` };
  return Promise.resolve([finding]);
};

const checkTools: Check = async () => {
  const missing = await findMissingTools();
  if (missing.length === 0) return [{ check: "tools", level: "ok", text: "Lighthouse can inspect other processes" }];
  return [{
    check: "tools",
    level: "warning",
    text: `Lighthouse cannot inspect other processes: cannot run ${missing.join(", ")}`,
    fix: "apt-get install coreutils grep dash",
  }];
};

const checkHost: Check = async ({ identify, directory: { accepted } }) => {
  const { facts: { fqdn, ip }, refusal, isProvisional } = await identify(accepted?.host ?? {});
  const fix = "set name (and ip) in host.yaml, or fix DNS so that hostname -f prints the fully qualified name";
  if (refusal !== undefined) return [{ check: "host", level: "error", text: refusal, fix }];
  if (isProvisional) {
    return [{ check: "host", level: "warning", text: `DNS has no fully qualified name for ${fqdn} (${ip})`, fix }];
  }
  return [{ check: "host", level: "ok", text: `${fqdn} (${ip})` }];
};

const checkClock: Check = async () => {
  const said = await look("timedatectl", ["show", "--property=NTPSynchronized", "--value"]).catch(() => "");
  if (said.trim() === "yes") return [{ check: "clock", level: "ok", text: "The clock is synchronized" }];
  if (said.trim() === "no") {
    return [{
      check: "clock",
      level: "warning",
      text: "The clock is not synchronized; leases and certificates require accurate time",
      fix: "timedatectl set-ntp true",
    }];
  }
  const chrony = await look("chronyc", ["-n", "tracking"]).catch(() => "");
  const offset = Number(/^System time\s*:\s*([0-9.]+) seconds/m.exec(chrony)?.[1] ?? NaN);
  if (Number.isNaN(offset)) {
    return [{ check: "clock", level: "ok", text: "Clock not checked: neither timedatectl nor chronyc responds" }];
  }
  return offset > 1
    ? [{ check: "clock", level: "warning", text: `The clock is off by ${offset}s`, fix: "chronyc makestep" }]
    : [{ check: "clock", level: "ok", text: `The clock is off by ${offset}s` }];
};

const checkDescriptors: Check = async ({ processes, directory: { accepted } }) => {
  const found: DoctorFinding[] = [];
  const planned = (accepted?.discovery.size ?? 0) + (accepted?.notifiers.size ?? 0) +
    [...accepted?.services.values() ?? []].reduce((sum, { probes }) => sum + probes.length, 0);
  const asked = processes.length > 0
    ? await Promise.all(processes.map(async ({ role, pid, workers }) => ({
      name: `${role}, pid ${pid}`,
      workers,
      limit: await readOpenFilesLimit(pid),
    })))
    : [{ name: "process started from this shell", workers: planned, limit: (await readOpenFiles())?.limit }];
  for (const { name, workers, limit } of asked) {
    if (limit === undefined) continue;
    const needed = OWN_FILES + WORKER_FILES * workers;
    found.push(
      limit < needed
        ? {
          check: "descriptors",
          level: "error",
          text: `${name}: open file limit ${limit} is too low; ${needed} required for ${counted(workers, "worker")}`,
          fix: "set LimitNOFILE=65536 in the unit, or isolation: shared in lighthouse.yaml",
        }
        : {
          check: "descriptors",
          level: "ok",
          text: `${name}: open file limit ${limit} is sufficient for ${counted(workers, "worker")}`,
        },
    );
  }
  return found;
};

const checkUnits: Check = async ({ processes }) => {
  const found: DoctorFinding[] = [];
  for (const { role, pid } of processes.filter(({ role }) => role !== "reporter")) {
    const cgroup = await look("cat", [`/proc/${pid}/cgroup`]).catch(() => "");
    const unit = /\/([^/\n]+\.service)$/m.exec(cgroup)?.[1] ?? UNITS[role];
    const shown = await look("systemctl", ["show", "--property=LoadState,KillMode,Type,StartLimitIntervalUSec", unit])
      .catch(() => "");
    const said = new Map(shown.split("\n").map((line) => line.split("=", 2) as [string, string]));
    if (said.get("LoadState") !== "loaded") continue;
    const edit = `systemctl edit ${unit}: [Service]`;
    if (said.get("KillMode") !== "process") {
      found.push({
        check: "units",
        level: "error",
        text: `${unit} has KillMode=${said.get("KillMode")}: a restart of the ${role} kills HAProxy`,
        fix: `${edit} KillMode=process`,
      });
    }
    if (said.get("StartLimitIntervalUSec") !== "0") {
      found.push({
        check: "units",
        level: "warning",
        text: `${unit} has a start limit: after a few failed starts, systemd stops restarting the unit`,
        fix: `systemctl edit ${unit}: [Unit] StartLimitIntervalSec=0`,
      });
    }
    if (found.length === 0) {
      found.push({ check: "units", level: "ok", text: `A restart of ${unit} leaves HAProxy running` });
    }
  }
  return found;
};

async function checkBalancer(
  name: string,
  { plugin, config }: AcceptedBalancer,
  options: DoctorOptions,
  signal: AbortSignal,
): Promise<readonly DoctorFinding[]> {
  const check = `balancer ${name}`;
  const found: DoctorFinding[] = [];
  const sources = await plugin.sources(config);
  for (const { severity, message } of await findWritingObstacles(sources)) {
    found.push({ check, level: severity === "warning" ? "error" : "warning", text: message, fix: fixOfPath(message) });
  }
  found.push(...await checkLock(check, sources, options));
  if (sources.kind === "files") {
    return found.length > 0 ? found : [{ check, level: "ok", text: "Output files are writable" }];
  }
  found.push(...await checkProgram(check, sources, options, signal));
  const { accepted } = options.directory;
  const pids = await findOrphans({
    program: programName(sources),
    file: sources.file,
    otherRuns: sources.otherRuns ?? [],
  });
  found.push(
    ...await checkProcesses(check, { plugin }, sources, { options, pids, signal }),
  );
  const listens = accepted === undefined ? [] : await listeningOf(name, { plugin, config }, accepted);
  const taken = await findTakenAddress(listens, {
    own: () => Promise.resolve(new Set(pids)),
    isStart: pids.length === 0,
    clock: options.clock,
    signal,
  });
  if (taken !== undefined) {
    const pid = /pid ([0-9]+)/.exec(taken.why)?.[1];
    found.push({
      check,
      level: "error",
      text: `Cannot bind ${taken.endpoint}: ${taken.why}`,
      fix: pid === undefined
        ? "stop the process that listens on this address (ss -ltnp), or choose another port"
        : `kill ${pid}, or choose another port`,
    });
  } else if (listens.length > 0) {
    const subject = listens.length === 1 ? "The address is" : `All ${listens.length} addresses are`;
    found.push({ check, level: "ok", text: `${subject} free or in use by this balancer` });
  }
  return found;
}

/** Which version the program is, and what it was built with. */
async function checkProgram(
  check: string,
  sources: ProcessSources,
  { dir }: DoctorOptions,
  signal: AbortSignal,
): Promise<readonly DoctorFinding[]> {
  const { program } = sources;
  if (programName(sources) !== "haproxy") return [];
  const { output } = await runProgram([program, "-vv"], { signal, deadlineMs: PROGRAM_DEADLINE_MS }).catch(() => ({
    output: "",
  }));
  const version = /version ([0-9]+\.[0-9]+)\.?([0-9]*)/i.exec(output);
  if (version === null) {
    return [{
      check,
      level: "error",
      text: `Cannot run ${program}`,
      fix: "apt-get install haproxy, or set program in the balancer's file",
    }];
  }
  const found: DoctorFinding[] = [];
  const [, minor = "", patch = ""] = version;
  const newest = TESTED_HAPROXY.at(-1) ?? "";
  found.push(
    TESTED_HAPROXY.includes(minor) ? { check, level: "ok", text: `HAProxy ${minor}.${patch} is a tested version` } : {
      check,
      level: "warning",
      text: `HAProxy ${minor}.${patch} is not among the tested versions ${TESTED_HAPROXY.join(", ")}`,
      fix: `install HAProxy ${newest}, or the newest patch release of a tested version`,
    },
  );
  const texts = await configTexts(dir);
  for (const { word, feature } of FEATURES) {
    if (!texts.includes(word) || new RegExp(`\\+${feature}\\b|USE_${feature}=1`).test(output)) continue;
    found.push({
      check,
      level: "error",
      text: `The config uses ${word}, but ${program} was built without ${feature}`,
      fix: "install an HAProxy package with this feature; haproxy -vv lists features",
    });
  }
  return found;
}

/** Words of a config, and the feature of HAProxy that each needs. */
const FEATURES = [
  { word: "prometheus-exporter", feature: "PROMEX" },
  { word: " ssl ", feature: "OPENSSL" },
  { word: "lua-load", feature: "LUA" },
] as const;

async function configTexts(dir: string): Promise<string> {
  const texts: string[] = [];
  for (const folder of ["balancers", "clusters"]) {
    const names = await Array.fromAsync(Deno.readDir(`${dir}/${folder}`), ({ name }) => name).catch(() => []);
    for (const name of names.filter((each) => /\.ya?ml$/.test(each))) {
      texts.push(await Deno.readTextFile(`${dir}/${folder}/${name}`).catch(() => ""));
    }
  }
  return texts.join("\n");
}

/** Who holds the lock of the balancer's writer. */
async function checkLock(
  check: string,
  { file }: BalancerSources,
  { processes }: DoctorOptions,
): Promise<readonly DoctorFinding[]> {
  const path = `${file}.lock`;
  let lock: Deno.FsFile;
  try {
    // Opened to be read alone, so that nothing is made.
    lock = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    return [{
      check,
      level: "warning",
      text: `Cannot open ${path}: ${reasonOf(error)}`,
      fix: "run this command as the writer's user",
    }];
  }
  using _lock = lock;
  if (!("tryLock" in lock) || await lock.tryLock(false)) return [];
  const text = await Deno.readTextFile(path).catch(() => "");
  const holder = Number(text.trim());
  if (processes.some(({ pid }) => pid === holder)) {
    return [{ check, level: "ok", text: `Lock held by the writer, pid ${holder}` }];
  }
  const [, ...args] = await readArguments(holder).catch(() => undefined) ?? [];
  return [{
    check,
    level: processes.some(({ role }) => role !== "reporter") ? "error" : "warning",
    text: `Another writer holds the lock ${path}: pid ${holder} (${args.slice(-3).join(" ")})`,
    fix: `stop one of the two writers: kill ${holder}`,
  }];
}

/** Whether it answers, what of it nobody reaches, and whether its descriptors are enough. */
async function checkProcesses(
  check: string,
  { plugin }: Pick<AcceptedBalancer, "plugin">,
  sources: ProcessSources,
  { options: { processes }, pids, signal }: {
    readonly options: DoctorOptions;
    readonly pids: readonly number[];
    readonly signal: AbortSignal;
  },
): Promise<readonly DoctorFinding[]> {
  const found: DoctorFinding[] = [];
  using effects = new Executor();
  const socket = socketOf(sources) ?? sources.file;
  const seen = await effects.observe(sources, (answers) => plugin.pid(answers), signal).catch((error) =>
    reasonOf(error)
  );
  if (typeof seen === "string") {
    found.push({
      check,
      level: "error",
      text: `Cannot query ${socket}: ${seen}`,
      fix: `check permissions with ls -l ${socket}, or run this command as the writer's user`,
    });
    return found;
  }
  const { answers, masterPid } = seen;
  const pid = answers === undefined ? undefined : await plugin.pid(answers);
  if (answers === undefined) {
    const level = processes.some(({ role }) => role !== "reporter") ? "error" : "warning";
    found.push({ check, level, text: `No response at ${socket}`, fix: "start the writer, which starts HAProxy" });
  } else found.push({ check, level: "ok", text: `Process ${pid ?? "?"} responds at ${socket}` });
  const others = pids.filter((each) => each !== pid && each !== masterPid);
  // Old workers drain and listen no more; whoever does takes a share of the connections, and gets no change of members.
  const orphans = pid === undefined ? others : await withListeners(others);
  if (orphans.length > 0) {
    found.push({
      check,
      level: "warning",
      text: `Orphan processes of ${sources.file}: ${orphans.join(", ")}`,
      fix: `kill -USR1 ${orphans.join(" ")}`,
    });
  }
  const limit = pid === undefined ? undefined : await readOpenFilesLimit(pid);
  const text = await Deno.readTextFile(sources.file).catch(() => "");
  const maxconn = Number(/^global\b[^]*?^\s+maxconn\s+([0-9]+)/m.exec(text)?.[1] ?? NaN);
  // Each connection has two ends.
  if (limit !== undefined && limit < 2 * maxconn) {
    found.push({
      check,
      level: "error",
      text: `HAProxy's open file limit ${limit} is too low; maxconn ${maxconn} requires more than ${2 * maxconn}`,
      fix: "set LimitNOFILE in the writer's unit to more than twice maxconn",
    });
  }
  return found;
}

/** Those of processes that listen on a TCP port. */
async function withListeners(pids: readonly number[]): Promise<readonly number[]> {
  if (pids.length === 0) return [];
  const listeners = await findListeners() ?? [];
  const { pids: owners } = await findSocketOwners(listeners.map(({ inode }) => inode));
  const listening = new Set([...owners.values()].flat());
  return pids.filter((pid) => listening.has(pid));
}

async function listeningOf(
  name: string,
  { plugin, config }: Pick<AcceptedBalancer, "plugin" | "config">,
  accepted: Accepted,
): Promise<readonly string[]> {
  const all: Listening[] = [...await plugin.listens?.(config) ?? []];
  for (const { sections } of accepted.clusters.values()) {
    if (sections.has(name)) all.push(...await plugin.listens?.(config, sections.get(name)) ?? []);
  }
  return [...new Set(all.map(({ host, port }) => formatEndpoint({ host: host === "" ? "0.0.0.0" : host, port })))];
}

/** Connects to a registry with the credentials of its file, and measures how long that takes. */
async function checkRegistry(
  name: string,
  instance: PluginInstance,
  { clock, random, dir }: DoctorOptions,
  signal: AbortSignal,
): Promise<readonly DoctorFinding[]> {
  const check = `registry ${name}`;
  const { promise, resolve } = Promise.withResolvers<
    { readonly isThere: boolean; readonly detail: string | undefined }
  >();
  let readyMs = clock.now();
  let offsetSeconds: unknown;
  await using fleet = new Fleet({
    clock,
    random,
    log: SILENT,
    events: {
      onEvent: (_key, event) => {
        if (event.type === "connection") resolve({ isThere: event.state === "connected", detail: event.detail });
        if (event.type === "ended") resolve({ isThere: false, detail: event.reason });
        // It is logged before the connection is reported.
        if (event.type === "log" && event.properties?.event === "discovery.clock_differs") {
          offsetSeconds = event.properties.offsetSeconds;
        }
      },
      onReady: () => void (readyMs = clock.now()),
      onDown: (_key, reason) => resolve({ isThere: false, detail: reason }),
      onStuck() {},
    },
  });
  fleet.apply(groupInstances([instance], "worker"));
  const { isThere, detail } = await abortable(promise, signal);
  const tookMs = Math.max(0, Math.round(clock.now() - readyMs));
  const what = detail === undefined ? "" : `: ${detail}`;
  if (!isThere) {
    return [{
      check,
      level: "error",
      text: `Cannot connect with the credentials in discovery/${name}.yaml${what}`,
      fix: `check the addresses and the password or token in ${dir}/discovery/${name}.yaml, and the network`,
    }];
  }
  const connected: DoctorFinding = tookMs > SLOW_MS
    ? {
      check,
      level: "warning",
      text: `Connected after ${tookMs}ms${what}`,
      fix: "check the registry and the network",
    }
    : { check, level: "ok", text: `Connected after ${tookMs}ms${what}` };
  if (typeof offsetSeconds !== "number") return [connected];
  const side = offsetSeconds > 0 ? "ahead of" : "behind";
  return [connected, {
    check,
    level: "warning",
    text: `The registry's clock is ${Math.abs(offsetSeconds)}s ${side} this host's clock`,
    fix: "compare both clocks with date -u, and run timedatectl set-ntp true on the host whose clock is wrong",
  }];
}

function fixOfPath(message: string): string {
  const path = /(\/[^\s,;:]+)/.exec(message)?.[1];
  return path === undefined
    ? "check the path in the message"
    : `check with ls -ld ${path}; create the path with mkdir -p, or chown it to the writer's user`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
