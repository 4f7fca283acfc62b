import { isAtLeast } from "../../plugins/balancers/haproxy/backend.ts";
import type { BalancerEffects, ProgramVersion, StepFailure, StepOutcome } from "../../src/balance/effects.ts";
import type { BalancerSources, CommandStep, Seen, Step } from "../../src/plugin/contract.ts";

/** A server of the model. */
export interface ModelServer {
  address: string;
  port: number;
  /** The next address: from 3.0 on it is visible on the next connection, not at once. */
  next?: { readonly address: string; readonly port: number } | undefined;
  id: number;
  /** Whether it is in forced maintenance. */
  maintenance: boolean;
  /** The weight, and the initial one. */
  weight: number;
  givenWeight: number;
  /** Whether it is being drained. */
  draining: boolean;
  /** The health check: absent, present but stopped, or running. */
  check: "none" | "stopped" | "running";
  /** Whether its check or an operator marked it down. */
  down: boolean;
  /** Whether a client is connected to it. */
  busy: boolean;
  /** When it last entered or left service. */
  changedAt: number;
}

/** A backend of the model. */
export interface ModelBackend {
  /** Whether servers can be added at runtime. */
  readonly dynamic: boolean;
  /** Its servers, by name. */
  readonly servers: Map<string, ModelServer>;
}

/** A process of the model. */
interface ModelProcess {
  readonly pid: number;
  /** The version of the program it was started from. */
  readonly version: ProgramVersion;
  readonly structure: string | undefined;
  /** Its frontends, by name, with their status in `show stat`. */
  readonly frontends: Map<string, "OPEN" | "PAUSED" | "STOP">;
  readonly backends: Map<string, ModelBackend>;
}

const HEADER = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
  "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
  "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr " +
  "srv_agent_addr srv_agent_port";

/**
 * A model of HAProxy in memory, as far as a writer can see it: servers and their
 * states, the answers of the socket, the config file, starts and reloads. Its
 * answers are those observed of the real HAProxy of the given version.
 */
export class HaproxyModel implements BalancerEffects {
  /** The installed version; a process keeps the version that it was started from. */
  programVersion: ProgramVersion = [2, 6, 12];
  /** The time, in milliseconds, for how long a server has been in its state. */
  now: () => number = () => 0;
  /** The text of the config file. */
  file: string | undefined;
  /** The process that answers. */
  process: ModelProcess | undefined;
  /** Its master process, if any. */
  masterPid: number | undefined;
  /** Other processes started from the file. */
  oldWorkers: readonly number[] = [];
  /** The processes that were asked to exit. */
  readonly dismissed: number[] = [];
  /** All executed steps, including failed ones. */
  readonly steps: Step[] = [];
  /** The error of the check command, and of a start, for a config; `undefined` accepts it. */
  refuses: (text: string) => string | undefined = () => undefined;
  /** Another failure of a start or reload with a config; `undefined` lets it succeed. */
  fails: (text: string) => string | undefined = () => undefined;
  /** A fault before a step is executed; `undefined` lets it pass. */
  fault: (step: Step) => StepFailure | undefined = () => undefined;
  /** The output of a step's program. */
  output: (step: Step) => string = () => "";
  /** Delays a step before it is executed; the step can be aborted then. */
  before: ((step: Step, signal: AbortSignal) => Promise<void>) | undefined;
  /** Whether a command is acknowledged but not carried out. */
  swallows: (command: string) => boolean = () => false;
  /** Changes an answer on its way. */
  garbles: (answer: string) => string = (answer) => answer;
  /** Called on each observation; throw to make the socket silent. */
  beforeObserve: () => void = () => {};
  /** Whether a replaced process keeps serving its connections, including the writer's. */
  lingers: () => boolean = () => false;
  #pids = 100;
  /** The process that the held connection leads to, and the replaced processes that still run. */
  #heldPid: number | undefined;
  readonly #relieved = new Map<number, ModelProcess>();
  readonly #attending = new Set<() => void>();

  /** Ends the process, as SIGKILL does. */
  kill(): void {
    this.process = undefined;
    this.#tellAttending();
  }

  /** Loads the file into a new process, as a start or a reload does. */
  boot(): void {
    const before = this.process;
    const lingers = before !== undefined && this.lingers();
    if (lingers) this.#relieved.set(before.pid, before);
    this.process = {
      pid: ++this.#pids,
      version: this.programVersion,
      ...readFile(this.file ?? "", this.programVersion),
    };
    // The previous process exits, and its connections close.
    if (!lingers) this.#tellAttending();
  }

  /** A server that must exist. */
  server(key: string): ModelServer {
    this.settle();
    const server = this.#find(key);
    if (server === undefined) throw new Error(`The model has no server ${key}`);
    return server;
  }

  /** The servers of a backend that get requests, as `name address:port`, sorted. */
  serving(backend: string): readonly string[] {
    this.settle();
    return [...this.process?.backends.get(backend)?.servers ?? []]
      .filter(([, { maintenance, draining, weight }]) => !maintenance && !draining && weight > 0)
      .map(([name, { address, port }]) => `${name} ${address}:${port}`)
      .toSorted();
  }

  /** Observes the model. */
  observe(
    sources: BalancerSources,
    _pidOf: unknown,
    signal: AbortSignal,
  ): Promise<Seen> {
    try {
      signal.throwIfAborted();
      this.beforeObserve();
    } catch (error) {
      return Promise.reject(error);
    }
    this.settle();
    const queries = sources.kind === "process" && sources.contact.by === "commands" ? sources.contact.queries : [];
    const answers = this.process === undefined ? undefined : queries.map((query) => this.garbles(this.command(query)));
    const files = new Map(this.file === undefined ? [] : [[sources.file, this.file]]);
    return Promise.resolve({ answers, files, masterPid: this.masterPid, oldWorkers: this.oldWorkers });
  }

  /** Resolves when the process is killed. */
  watchSocket(_sources: BalancerSources, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    this.#attending.add(resolve);
    const pid = this.#heldPid = this.process?.pid;
    return promise.finally(() => {
      this.#attending.delete(resolve);
      if (this.#heldPid === pid) this.#heldPid = undefined;
    });
  }

  /** Carries out commands in the process that the held connection leads to. */
  async executeHeld(
    steps: readonly CommandStep[],
    sources?: BalancerSources,
    signal?: AbortSignal,
  ): Promise<readonly StepOutcome[]> {
    const relieved = this.#heldPid === undefined ? undefined : this.#relieved.get(this.#heldPid);
    if (this.#heldPid === undefined || (relieved === undefined && this.process?.pid !== this.#heldPid)) {
      const failure = { kind: "unreachable", message: "No connection is open" } as const;
      return steps.slice(0, 1).map((step) => ({ ok: false, step, failure }));
    }
    if (relieved === undefined) return await this.execute(steps, sources, signal);
    const outcomes: StepOutcome[] = [];
    for (const step of steps) {
      await this.before?.(step, signal ?? new AbortController().signal);
      const serving = this.process;
      this.process = relieved;
      const failure = this.#perform(step);
      this.process = serving;
      outcomes.push(failure === undefined ? { ok: true, step, tookMs: 0, output: "" } : { ok: false, step, failure });
    }
    return outcomes;
  }

  /** Records which processes are asked to exit: the model has one process at a time. */
  softStop(pid: number): Promise<boolean> {
    this.dismissed.push(pid);
    return Promise.resolve(true);
  }

  /** The version of the program. */
  version(): Promise<ProgramVersion | undefined> {
    return Promise.resolve(this.programVersion);
  }

  /** The program's file: a different one for each version. */
  programFile(): string | undefined {
    return this.programVersion.join(".");
  }

  /** Carries out steps in order, up to the first failure. */
  async execute(
    steps: readonly Step[],
    _sources?: BalancerSources,
    signal?: AbortSignal,
  ): Promise<readonly StepOutcome[]> {
    const outcomes: StepOutcome[] = [];
    let isBroken = false;
    for (const step of steps) {
      // Consecutive commands go together: if one fails, the next is still tried.
      if (isBroken && (step.do !== "command" || outcomes.at(-1)?.step.do !== "command")) break;
      await this.before?.(step, signal ?? new AbortController().signal);
      this.steps.push(step);
      const failure = this.fault(step) ?? this.#perform(step);
      outcomes.push(
        failure === undefined
          ? { ok: true, step, tookMs: 0, output: this.#outputOf(step) }
          : { ok: false, step, failure },
      );
      if (failure?.kind === "unreachable") break;
      if (failure !== undefined) isBroken = true;
    }
    return outcomes;
  }

  /** Returns a command as the socket does, trimmed. */
  command(text: string): string {
    const process = this.process;
    if (process === undefined) throw new Error("No process listens");
    const [verb = "", noun = "", key = "", ...rest] = text.split(" ");
    if (verb === "wait" && process.version[0] >= 3) return "Done.";
    switch (`${verb} ${noun}`) {
      case "show info":
        return `Name: HAProxy\nVersion: ${process.version.join(".")}-1\nPid: ${process.pid}\n` +
          `Stopping: ${this.#relieved.has(process.pid) ? 1 : 0}\nJobs: 3`;
      case "show env":
        return process.structure === undefined ? "Variable not found" : `${key}=${process.structure}`;
      case "show backend":
        return ["# name", ...process.backends.keys()].join("\n");
      case "show stat":
        if (rest[0] === "4") return this.#stat(process, Number(rest[1]));
        return ["# pxname,svname,status", ...[...process.frontends].map(([name, is]) => `${name},FRONTEND,${is}`)]
          .join("\n");
      case "disable frontend":
      case "enable frontend":
      case "shutdown frontend":
        return setFrontend(process.frontends, key, verb);
      case "show servers":
        return ["1", HEADER, ...this.#rows(process)].join("\n");
      case "add server":
        return this.#add(key, rest);
      case "del server":
        return this.#delete(key);
      case "shutdown sessions": {
        const server = this.#find(rest[0] ?? "");
        if (server === undefined) return this.#missing(rest[0] ?? "");
        server.busy = false;
        return "";
      }
    }
    const server = this.#find(key);
    if (server === undefined) return this.#missing(key);
    switch (`${verb} ${noun}`) {
      case "enable server":
        endMaintenance(server);
        server.draining = false;
        return "";
      case "enable health":
        if (server.check === "none") return "Health check was not configured on this server, cannot enable.";
        server.check = "running";
        return "";
      case "enable agent":
        return "";
      case "set server":
        return this.#set(server, rest, {
          version: process.version,
          isDynamic: process.backends.get(key.split("/")[0] ?? "")?.dynamic === true,
        });
      case "disable agent":
        return "";
      default:
        return "Unknown command, but maybe one of the following ones is a better match:";
    }
  }

  #missing(key: string): string {
    return this.process?.backends.has(key.split("/")[0] ?? "") ? "No such server." : "No such backend.";
  }

  #tellAttending(): void {
    for (const resolve of this.#attending) resolve();
  }

  #find(key: string): ModelServer | undefined {
    const [backend = "", name = ""] = key.split("/");
    return this.process?.backends.get(backend)?.servers.get(name);
  }

  *#rows({ backends }: ModelProcess): Generator<string> {
    let index = 2;
    for (const [backend, { servers }] of backends) {
      index++;
      for (const [name, server] of servers) {
        const { address, port, id, maintenance, draining, weight, givenWeight, check, down, changedAt } = server;
        const admin = (maintenance ? 1 : 0) + (draining ? 8 : 0);
        const checkState = { none: 0, stopped: 2, running: 6 }[check];
        yield `${index} ${backend} ${id} ${name} ${address} ${
          down || maintenance ? 0 : 2
        } ${admin} ${weight} ${givenWeight} ${Math.floor((this.now() - changedAt) / 1_000)} 1 0 2 ` +
          `${checkState} 0 0 0 - ${port} - 0 0 - - 0`;
      }
    }
  }

  #outputOf(step: Step): string {
    return step.do === "command" && step.isRead === true ? this.command(step.command) : this.output(step);
  }

  #stat({ backends }: ModelProcess, id: number): string {
    this.settle();
    const rows = [...backends].flatMap(([backend, { servers }]) =>
      [...servers].filter(([, server]) => server.id === id).map(([name, server]) => {
        const { address, port, maintenance, draining, down, weight, check } = server;
        const drained = draining || weight === 0;
        const status = maintenance ? "MAINT" : down ? "DOWN" : drained ? "DRAIN" : check === "none" ? "no check" : "UP";
        const columns = Array.from({ length: 100 }, () => "");
        [columns[0], columns[1], columns[17]] = [backend, name, status];
        [columns[73], columns[99]] = [`${address}:${port}`, `${weight}`];
        return columns.join(",");
      })
    );
    return ["# pxname,svname", ...rows].join("\n");
  }

  #add(key: string, [address = "", ...options]: readonly string[]): string {
    const [backendName = "", name = ""] = key.split("/");
    const backend = this.process?.backends.get(backendName);
    if (backend === undefined) return "No such backend.";
    const { version = this.programVersion } = this.process ?? {};
    if (!backend.dynamic) {
      return isAtLeast(version, 3, 4)
        ? `Backend does not support dynamic servers : backend '${backendName}' uses a non dynamic load balancing method.`
        : "Backend must use a dynamic load balancing to support dynamic servers.";
    }
    const isNew = isAtLeast(version, 3, 0);
    const isThere = "Already exists a server with the same name in backend.";
    if (isAtLeast(version, 3, 4) && backend.servers.has(name)) return isThere;
    if (options.includes("cookie") && !isNew) return "'cookie' option is not accepted for dynamic server";
    if (options.includes("enabled") && isNew) return "'enabled' option is not accepted for dynamic server";
    const server = readServer(address, options, nextId(backend));
    for (const [other, { id }] of backend.servers) {
      if (id === server.id) return `'id' : custom id ${id} already used at (null):0 ('server ${other}').`;
    }
    if (backend.servers.has(name)) return isThere;
    backend.servers.set(name, { ...server, maintenance: true, check: server.check === "none" ? "none" : "stopped" });
    return "New server registered.";
  }

  #delete(key: string): string {
    const [backendName = "", name = ""] = key.split("/");
    const servers = this.process?.backends.get(backendName)?.servers;
    const server = servers?.get(name);
    if (servers === undefined || server === undefined) return this.#missing(key);
    if (!server.maintenance) return "Only servers in maintenance mode can be deleted.";
    if (server.busy) return "Server still has connections attached to it, cannot remove it.";
    servers.delete(name);
    return "Server deleted.";
  }

  /** The error in a config: the version's own, or the test's. */
  #refusal(text: string): string | undefined {
    return this.refuses(text) ?? (isAtLeast(this.programVersion, 3, 3) ? sharedName(text) : undefined);
  }

  /** Makes new addresses visible, as they are over a new connection. */
  settle(): void {
    for (const { servers } of this.process?.backends.values() ?? []) {
      for (const server of servers.values()) {
        if (server.next === undefined) continue;
        [server.address, server.port, server.next] = [server.next.address, server.next.port, undefined];
      }
    }
  }

  #set(server: ModelServer, rest: readonly string[], { version, isDynamic }: {
    readonly version: ProgramVersion;
    readonly isDynamic: boolean;
  }): string {
    // From 2.8 on the time counts only from changes of the operational state, and draining is none.
    const isStopped = () => server.down || server.maintenance;
    const before = isStopped();
    const answer = set(server, rest, { isNew: isAtLeast(version, 3, 0), isDynamic });
    if (rest[0] === "state" && (!isAtLeast(version, 2, 8) || before !== isStopped())) server.changedAt = this.now();
    return answer;
  }

  #perform(step: Step): StepFailure | undefined {
    switch (step.do) {
      case "command": {
        if (this.process === undefined) return { kind: "unreachable", message: "No process listens" };
        const { process } = this;
        const before = this.swallows(step.command) ? structuredClone(process.backends) : undefined;
        const answer = this.garbles(this.command(step.command));
        if (before !== undefined) this.process = { ...process, backends: before };
        return step.expect.some((expected) => new RegExp(`^(?:${expected})$`).test(answer))
          ? undefined
          : { kind: "answer", message: `${step.command}: ${answer}`, answer };
      }
      case "install": {
        const message = step.check.length === 0 ? undefined : this.#refusal(step.contents);
        if (message !== undefined) return { kind: "refused", message };
        this.file = step.contents;
        return undefined;
      }
      case "start":
      case "reload": {
        const message = this.fails(this.file ?? "") ?? this.#refusal(this.file ?? "");
        if (message !== undefined) return { kind: "program", message };
        this.boot();
        return undefined;
      }
    }
  }
}

/** The error of HAProxy 3.3 and later for a frontend and a backend of one name. */
function sharedName(text: string): string | undefined {
  const frontends = new Set([...text.matchAll(/^frontend (\S+)$/gm)].map(([, name = ""]) => name));
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.startsWith("backend ") && frontends.has(line.slice("backend ".length)));
  if (at === -1) return undefined;
  const name = lines[at]?.slice("backend ".length);
  return `[ALERT]    (7) : config : Parsing [/sim/cfg:${at + 1}]: backend '${name}' has the same name as frontend ` +
    `'${name}' declared at /sim/cfg:${lines.indexOf(`frontend ${name}`) + 1}. This is no longer supported as of 3.3. ` +
    "Please rename one or the other.";
}

function setFrontend(frontends: ModelProcess["frontends"], name: string, verb: string): string {
  const is = frontends.get(name);
  if (is === undefined) return "No such frontend.";
  if (verb === "shutdown") {
    if (is === "STOP") return "Frontend was already shut down.";
    frontends.set(name, "STOP");
    return "";
  }
  if (is === "STOP") return `Frontend was previously shut down, cannot ${verb}.`;
  const wanted = verb === "enable" ? "OPEN" : "PAUSED";
  if (is === wanted) return `All sockets are already ${verb}d.`;
  frontends.set(name, wanted);
  return "";
}

/** A server that leaves maintenance is up, whatever its earlier state. */
function endMaintenance(server: ModelServer): void {
  if (server.maintenance) server.down = false;
  server.maintenance = false;
}

function set(
  server: ModelServer,
  [what = "", value = "", port = "", number = ""]: readonly string[],
  { isNew, isDynamic }: { readonly isNew: boolean; readonly isDynamic: boolean },
): string {
  switch (`${what} ${value}`) {
    case "state maint":
      [server.maintenance, server.draining] = [true, false];
      return "";
    case "state ready":
      endMaintenance(server);
      server.draining = false;
      return "";
    case "state drain":
      endMaintenance(server);
      server.draining = true;
      return "";
    case "health down":
      server.down = true;
      return "";
    case "health up":
      server.down = false;
      return "";
  }
  if (what === "weight") return setWeight(server, value, isDynamic);
  if (what !== "addr" || port !== "port") {
    return "'set server <srv>' only supports 'agent', 'health', 'state' and more.";
  }
  const is = server.next ?? server;
  if (is.address === value && is.port === Number(number)) {
    return isNew ? "nothing changed" : "no need to change the addr, no need to change the port";
  }
  const before = `IP changed from '${is.address}' to '${value}', port changed from '${is.port}' to '${number}'`;
  server.next = { address: value, port: Number(number) };
  if (!isNew) [server.address, server.port, server.next] = [value, Number(number), undefined];
  return `${before} by 'stats socket command'`;
}

/** Sets a weight, as a number or in percent of the initial one. */
function setWeight(server: ModelServer, value: string, isDynamic: boolean): string {
  const number = parseInt(value, 10);
  const isPercent = value === `${number}%`;
  if (!isPercent && (number < 0 || number > 256)) {
    return "Absolute weight can only be between 0 and 256 inclusive.";
  }
  const weight = isPercent ? Math.min(256, Math.floor(server.givenWeight * number / 100)) : number;
  if (weight !== 0 && weight !== server.givenWeight && !isDynamic) {
    return "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.";
  }
  server.weight = weight;
  return "";
}

/** Reads a file as a process would: its mark, its backends and their servers. */
function readFile(
  text: string,
  version: ProgramVersion,
): Pick<ModelProcess, "structure" | "frontends" | "backends"> {
  const names = [...text.matchAll(/^(?:frontend|listen) (\S+)/gm)].map(([, name = ""]) => name);
  const backends = new Map<string, ModelBackend>();
  let here: { name: string; lines: string[] } | undefined;
  const end = () => {
    if (here === undefined) return;
    const byDefault = isAtLeast(version, 3, 3) ? "random" : "roundrobin";
    const balance = here.lines.findLast((line) => line.startsWith("balance "))?.split(" ")[1] ?? byDefault;
    const consistent = here.lines.includes("hash-type consistent");
    const backend: ModelBackend = {
      dynamic: /^(?:roundrobin|leastconn|first|random)/.test(balance) || (consistent && balance !== "static-rr"),
      servers: new Map(),
    };
    backends.set(here.name, backend);
    for (const line of here.lines) {
      const [keyword, name = "", address = "", ...options] = line.replace(/#.*/, "").split(" ")
        .filter((word) => word !== "");
      if (keyword === "server") backend.servers.set(name, readServer(address, options, nextId(backend)));
    }
  };
  for (const line of text.split("\n")) {
    if (/^[a-z]/.test(line)) {
      end();
      here = /^(?:backend|listen) /.test(line) ? { name: line.split(" ")[1] ?? "", lines: [] } : undefined;
    } else here?.lines.push(line.trim());
  }
  end();
  return {
    structure: /setenv LIGHTHOUSE_STRUCTURE ([0-9a-f]+)/.exec(text)?.[1],
    frontends: new Map(names.map((name) => [name, "OPEN"])),
    backends,
  };
}

function readServer(endpoint: string, options: readonly string[], id: number): ModelServer {
  const colon = endpoint.lastIndexOf(":");
  const given = Number(options[options.indexOf("id") + 1]);
  const weight = options.includes("weight") ? Number(options[options.lastIndexOf("weight") + 1]) : 1;
  return {
    address: endpoint.slice(0, colon).replace(/^\[(.*)\]$/, "$1"),
    port: Number(endpoint.slice(colon + 1)),
    id: options.includes("id") ? given : id,
    maintenance: options.includes("disabled"),
    draining: false,
    weight,
    givenWeight: weight,
    check: options.includes("check") ? "running" : "none",
    down: false,
    busy: false,
    changedAt: 0,
  };
}

function nextId({ servers }: ModelBackend): number {
  const used = new Set([...servers.values()].map(({ id }) => id));
  let id = 1;
  while (used.has(id)) id++;
  return id;
}
