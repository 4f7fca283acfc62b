import type { Logger } from "../kernel/logger.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { ClusterName } from "../model/topology.ts";
import type { FileFault, Notice, Origin, RenderFault, Seen, Step } from "../plugin/contract.ts";
import type { Fate } from "./acceptance.ts";
import type { StepFailure, StepOutcome } from "./effects.ts";

/** Puts the place in the config, `clusters/web.yaml:7:5`, before what is said of something there. */
export type Locate = (origin: Origin, text: string) => string;

/** How many texts are remembered as told. */
const TOLD_MAX = 1_000;

/** How many commands a log line names. */
const COMMANDS_IN_LOG = 10;

/** So many faults that differ in a number or a quoted value alone are logged; the rest is the same fault again. */
const VARIANTS_MAX = 5;

/** So many new notices are logged one by one; of more, only how many they are. */
const NOTICES_TOLD_MAX = 50;

/** How many faults of a file one message tells. */
const FAULTS_TOLD_MAX = 5;

/** What becomes of what was refused, as an operator reads it. */
const FATES: { readonly [fate in Fate]: string } = {
  "left out": "what is refused is left out",
  "kept": "what was last accepted stays in force",
  "put aside": "it is not served",
  "nothing": "nothing else is known",
};

/** What becomes of what would listen at an address that somebody else holds. */
const TAKEN_FATES: { readonly [fate in Fate]: (cluster: ClusterName | undefined) => string } = {
  "left out": () => "left out until the address is free",
  "kept": () => "last accepted config stays active",
  "put aside": (cluster) => `cluster ${cluster} is not served`,
  "nothing": () => "retrying",
};

/** Why a config was not taken, and what becomes of it. */
export interface Refusal {
  /** The cluster whose config it is; absent if it is the balancer's own. */
  readonly cluster: ClusterName | undefined;
  readonly faults: readonly FileFault[];
  readonly fate: Fate;
}

/** The functions of {@linkcode OperatorLog} that log. */
type Telling = Exclude<keyof OperatorLog, "name" | "tell">;

/** What is to be logged, as data: the function that does, and what it is given. */
export type Report = { [Name in Telling]: readonly [Name, ...Parameters<OperatorLog[Name]>] }[Telling];

/**
 * What an operator is told of a balancer, in which words, and how often: a
 * writer looks every few seconds, and meets the same again and again.
 */
export class OperatorLog {
  readonly #name: string;
  readonly #log: Logger;
  readonly #meter: Meter;
  /** What programs said. */
  readonly #said = new Set<string>();
  /** What is wrong now: told again when it has been right in between. */
  readonly #faults = new Set<string>();
  /** How many of them differ in a number or a quoted value alone. */
  readonly #variants = new Map<string, number>();
  #notices: ReadonlySet<string> = new Set();
  /** Why this writer is the spare, if it is. */
  #standby: string | undefined;

  /** Tells `log` of the balancer that is called `name`: after its file, for there may be several of a kind. */
  constructor(name: string, log: Logger, meter = UNMETERED) {
    [this.#name, this.#log, this.#meter] = [name, log, meter];
    meter.count("lighthouse_balancer_drift_total", { balancer: name }, 0);
    meter.count("lighthouse_balancer_config_rejections_total", { balancer: name }, 0);
  }

  /** What the balancer is called. */
  get name(): string {
    return this.#name;
  }

  /** Logs a report. */
  tell([name, ...given]: Report): void {
    (this[name] as (...given: unknown[]) => void)(...given);
  }

  /** Tells, when it changes, that another writer keeps the balancer, and this one is its spare. */
  tellStandby(other: string | undefined): void {
    if (other === this.#standby) return;
    this.#standby = other;
    if (other === undefined) {
      this.#log.info(`${this.#name}: this writer is active now`, { event: "writer.active" });
    } else this.#log.warn(`${this.#name}: standing by: ${other}`, { event: "writer.standby" });
  }

  /**
   * Tells what is wrong, once until {@linkcode forgetFaults}. What differs in a number in parentheses alone, a pid, is
   * the same; of what differs in other numbers or in quoted values, what a mad process answers, the first five are news.
   */
  tellFault(text: string): void {
    this.#log[this.#isNewVariant(text) ? "error" : "debug"](text, { event: "balancer.failed" });
  }

  /** Tells of a command that failed, in the same way. */
  tellCommandFailure({ message, kind }: StepFailure): void {
    this.#log[this.#isNewVariant(message) ? "warn" : "debug"](message, { event: "balancer.command_failed", kind });
  }

  /** Tells that the file on disk is not what runs, as it cannot be written. */
  tellFileBehind(path: string, reason: string): void {
    const text = `The file ${path} stays behind what runs: ${reason}`;
    this.#log[this.#isNewFault(text) ? "error" : "debug"](text, { event: "balancer.file_behind", path, reason });
  }

  /** Tells of clusters that are served although their config cannot be used. */
  tellKeptClusters(clusters: readonly ClusterName[]): void {
    const text =
      `${this.#name} serves ${clusters.join(", ")}, whose config cannot be used: it goes on as it runs, and ` +
      "nothing that takes a reload is done before that config is mended, or its file removed";
    this.#log[this.#isNewFault(text) ? "error" : "debug"](text, {
      event: "balancer.clusters_kept",
      clusters: clusters.join(", "),
    });
  }

  /** Tells of a turn that comes to no end. */
  tellRestless(rounds: number): void {
    this.tellFault(`${this.#name} did not converge after ${rounds} rounds`);
  }

  /** Tells what a program wrote that rejected its config, for whoever looks closer. */
  tellRejection(message: string): void {
    this.#log.debug(message, { event: "balancer.config_rejected" });
  }

  /** Tells of a process that serves and that somebody else has started. */
  tellReplaced(pid: number): void {
    this.#log.info(`${this.#name}: process ${pid} serves, which somebody else has started`, {
      event: "balancer.replaced",
      pid,
    });
  }

  /** Tells which process serves after a start or a reload, and which still have connections. */
  tellServing(pid: number, oldWorkers: readonly number[]): void {
    const old = oldWorkers.join(", ");
    const still = old === "" ? "" : `; older ones still have connections: ${old}`;
    this.#log.info(`${this.#name}: process ${pid} serves${still}`, {
      event: "balancer.serving",
      pid,
      ...old === "" ? {} : { old },
    });
  }

  /** Tells of a process that was asked to leave. */
  tellDismissed(pid: number, why: string): void {
    this.#log.info(`${this.#name}: process ${pid}, which ${why}, is asked to leave`, {
      event: "balancer.dismissed",
      pid,
    });
  }

  /** Notes that all is as it is wanted: what is wrong from now on is news. */
  forgetFaults(): void {
    this.#faults.clear();
    this.#variants.clear();
  }

  /** Tells that the balancer refused a config, its own or a cluster's, why, and what becomes of it. */
  tellRefusal({ cluster, faults, fate }: Refusal, locate: Locate): void {
    const whose = cluster === undefined ? "config" : `config of cluster ${cluster}`;
    this.#meter.count("lighthouse_balancer_config_rejections_total", { balancer: this.#name });
    const text = `${this.#name} refuses the ${whose}, ${FATES[fate]}: ${list(faults, locate)}`;
    this.#log[this.#isNewFault(text) ? "error" : "debug"](text, {
      event: "balancer.config_rejected",
      ...cluster === undefined ? {} : { cluster },
      fate,
    });
  }

  /** Logs that no process was made as somebody else holds an address, who does, and which line asks for it. */
  tellTakenAddress({ cluster, faults, fate }: Refusal, locate: Locate): void {
    const text = `${this.#name}: ${list(faults, locate)}; ${TAKEN_FATES[fate](cluster)}`;
    this.#log[this.#isNewFault(text) ? "error" : "debug"](text, {
      event: "balancer.address_taken",
      ...cluster === undefined ? {} : { cluster },
      fate,
    });
  }

  /** Logs why a file cannot be rendered, once until {@linkcode forgetFaults}. */
  tellRenderFault({ text, origin, isPending = false }: RenderFault, locate: Locate): void {
    const message = put(locate, origin, text);
    const isNews = this.#isNewFault(message);
    if (isPending) this.#log[isNews ? "warn" : "debug"](message, { event: "balancer.pending" });
    else this.#log[isNews ? "error" : "debug"](message, { event: "balancer.not_rendered" });
  }

  /** Tells of those notices that are new since the last time: thousands of clusters that lack the same are not listed. */
  tellNotices(notices: readonly Notice[], locate: Locate): void {
    const fresh = notices.filter(({ text }) => !this.#notices.has(text));
    for (const { text, origin } of fresh.slice(0, NOTICES_TOLD_MAX)) {
      this.#log.warn(put(locate, origin, text), { event: "balancer.notice" });
    }
    if (fresh.length > NOTICES_TOLD_MAX) {
      const more = fresh.length - NOTICES_TOLD_MAX;
      this.#log.warn(`${this.#name}: more notices of the same config, not listed`, { event: "balancer.notice", more });
    }
    this.#notices = new Set(notices.map(({ text }) => text));
  }

  /**
   * Tells what somebody else has changed, which is what `steps` put right; a
   * process that is gone is told of by its start.
   */
  tellDrift({ files }: Seen, steps: readonly Step[]): void {
    const changes = steps.flatMap((step) => step.do === "command" && step.found !== undefined ? [step.found] : []);
    const more = changes.length > COMMANDS_IN_LOG ? [`${changes.length - COMMANDS_IN_LOG} changes more`] : [];
    const changed = steps.flatMap((step) =>
      step.do === "install" ? [`the file ${step.path} was ${files?.has(step.path) ? "changed" : "removed"}`] : []
    );
    const found = [
      ...changes.slice(0, COMMANDS_IN_LOG),
      ...more,
      ...changed,
    ];
    if (found.length === 0) return;
    this.#meter.count("lighthouse_balancer_drift_total", { balancer: this.#name });
    this.#log.warn(`${this.#name}: not as it was left: ${found.join(", ")}; this is put right`, {
      event: "balancer.drift",
      found: found.join(", "),
    });
  }

  /**
   * Tells what was done, and why, and what programs wrote meanwhile; failures
   * are for others to tell. `tried`: whether the same was done before, so that
   * it is no news. `ran`: whether the balancer had been seen to serve.
   */
  tellOutcomes(
    outcomes: readonly StepOutcome[],
    { tried, ran, chatter = [] }: {
      readonly tried: boolean;
      readonly ran: boolean;
      /** What lines of a program's output begin with that say nothing by themselves. */
      readonly chatter?: readonly string[] | undefined;
    },
  ): void {
    const commands = outcomes.flatMap(({ ok, step }) =>
      ok && step.do === "command" && step.isRead !== true ? [step.command] : []
    );
    if (commands.length > 0) {
      const more = commands.length > COMMANDS_IN_LOG ? ", …" : "";
      const shown = commands.slice(0, COMMANDS_IN_LOG).join(", ") + more;
      const count = `${commands.length} ${commands.length === 1 ? "command" : "commands"}`;
      this.#log[tried ? "debug" : "info"](`${this.#name}: ${count}: ${shown}`, {
        event: "balancer.commands",
        count: commands.length,
        commands: shown,
      });
    }
    for (const outcome of outcomes) if (outcome.ok) this.#tellStep(outcome.step, Math.round(outcome.tookMs), ran);
    for (const outcome of outcomes) if (outcome.ok) this.#tellOutput(outcome.output, chatter);
  }

  #tellStep(step: Step, tookMs: number, ran: boolean): void {
    const name = this.#name;
    if (step.do === "install") {
      this.#log.debug(`${name}: wrote ${step.path}`, { event: "balancer.file_written", path: step.path, tookMs });
    }
    if (step.do === "remove") {
      this.#log.info("File of an unknown cluster removed", { event: "balancer.file_removed", path: step.path });
    }
    if (step.do === "notify") {
      const { reason, run: [program = ""] } = step;
      this.#log.info("Program notified", { event: "balancer.notified", program, reason, tookMs });
    }
    if (step.do === "supervise") {
      const { name: child, reason } = step;
      const text = step.run.length === 0 ? "Child process stopped" : "Child process started";
      this.#log.info(text, { event: "balancer.child", child, reason, tookMs });
    }
    if (step.do !== "start" && step.do !== "reload") return;
    const { reason } = step;
    if (step.do === "reload") {
      this.#log.info(`${name}: reloaded, as ${reason}`, { event: "balancer.reloaded", reason, tookMs });
    } // One that ran and is gone has died, which somebody should look into.
    else if (ran) {
      const text = `${name}: it was gone and is started again, as ${reason}`;
      this.#log.warn(text, { event: "balancer.restarted", reason, tookMs });
    } else this.#log.info(`${name}: started, as ${reason}`, { event: "balancer.started", reason, tookMs });
  }

  /** Says what a program wrote; what is said at each run, but for the pid and the line of the file, is said once. */
  #tellOutput(output: string, chatter: readonly string[]): void {
    const times = new Map<string, number>();
    for (const line of output.split("\n").map((line) => line.trim()).filter((line) => line !== "")) {
      const isChatter = chatter.some((begin) => line.startsWith(begin));
      const loud = /\b(?:warning|alert|error|fatal)\b/i.test(line) && !isChatter;
      // Lines move with each member; several that are alike but for their number are several.
      const alike = line.replace(/:[0-9]+\]/, "]");
      const time = (times.get(alike) ?? 0) + 1;
      times.set(alike, time);
      const text = `${this.#name} says: ${line}`;
      const isNews = isNew(`${time} ${alike}`, this.#said);
      this.#log[loud && isNews ? "warn" : "debug"](text, { event: "balancer.output", line });
    }
  }

  #isNewVariant(text: string): boolean {
    if (!this.#isNewFault(text)) return false;
    const kind = text.replace(/"(?:[^"\\]|\\.)*"/g, '""').replace(/[0-9]+/g, "0");
    const variants = (this.#variants.get(kind) ?? 0) + 1;
    if (this.#variants.size >= TOLD_MAX) this.#variants.clear();
    this.#variants.set(kind, variants);
    return variants <= VARIANTS_MAX;
  }

  #isNewFault(text: string): boolean {
    return isNew(text, this.#faults);
  }
}

/** Notes a text as told; answers whether it was not. What differs in numbers in parentheses alone, a pid, is the same text. */
function isNew(text: string, told: Set<string>): boolean {
  const key = text.replace(/\([0-9]+\)/g, "()");
  if (told.has(key)) return false;
  if (told.size >= TOLD_MAX) told.clear();
  told.add(key);
  return true;
}

/** The first faults of a config, each behind its place. */
function list(faults: readonly FileFault[], locate: Locate): string {
  const told = faults.slice(0, FAULTS_TOLD_MAX).map(({ message, origin }) => put(locate, origin, message)).join("; ");
  const more = faults.length > FAULTS_TOLD_MAX ? `; and ${faults.length - FAULTS_TOLD_MAX} more` : "";
  return told + more;
}

/** Says where in the config something is. */
function put(locate: Locate, origin: Origin | undefined, text: string): string {
  return origin === undefined ? text : locate(origin, text);
}
