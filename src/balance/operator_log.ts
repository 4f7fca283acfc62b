import type { Logger } from "../kernel/logger.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { ClusterName } from "../model/topology.ts";
import type { FileFault, Notice, Origin, RenderFault, Seen, Step } from "../plugin/contract.ts";
import type { Fate } from "./acceptance.ts";
import type { StepFailure, StepOutcome } from "./effects.ts";

/** Puts the place in the config, `clusters/web.yaml:7:5`, before a message about that place. */
export type Locate = (origin: Origin, text: string) => string;

/** How many messages are remembered as logged. */
const TOLD_MAX = 1_000;

/** How many commands one record lists. */
const COMMANDS_IN_LOG = 10;

/** How many faults are logged that differ only in a number or a quoted value; more of them are repeats. */
const VARIANTS_MAX = 5;

/** How many new notices are logged one by one; the rest are only counted. */
const NOTICES_TOLD_MAX = 50;

/** How many faults of a file one message lists. */
const FAULTS_TOLD_MAX = 5;

/** What happens to the rejected config. */
const FATES: { readonly [fate in Fate]: string } = {
  "left out": "rejected lines skipped",
  "kept": "last accepted config stays active",
  "put aside": "cluster not served",
  "nothing": "no accepted config to fall back to",
};

/** What happens to the config of a listener whose address another process holds. */
const TAKEN_FATES: { readonly [fate in Fate]: (cluster: ClusterName | undefined) => string } = {
  "left out": () => "listener skipped until the address is free",
  "kept": () => "last accepted config stays active",
  "put aside": (cluster) => `cluster ${cluster} is not served`,
  "nothing": () => "retrying",
};

/** Why a config was rejected, and what happens to it. */
export interface Refusal {
  /** The cluster whose config it is; absent if it is the balancer's own. */
  readonly cluster: ClusterName | undefined;
  readonly faults: readonly FileFault[];
  readonly fate: Fate;
}

/** The methods of {@linkcode OperatorLog} that log. */
type Telling = Exclude<keyof OperatorLog, "name" | "tell">;

/** What to log, as data: the method and its arguments. */
export type Report = { [Name in Telling]: readonly [Name, ...Parameters<OperatorLog[Name]>] }[Telling];

/**
 * What is logged about a balancer, in which words, and how often: a writer looks every few seconds and finds
 * the same faults again.
 */
export class OperatorLog {
  readonly #name: string;
  readonly #log: Logger;
  readonly #meter: Meter;
  /** What programs have written. */
  readonly #said = new Set<string>();
  /** The current faults: logged again once all was well in between. */
  readonly #faults = new Set<string>();
  /** How many of them differ only in a number or a quoted value. */
  readonly #variants = new Map<string, number>();
  #notices: ReadonlySet<string> = new Set();
  /** Why this writer is standing by, if it is. */
  #standby: string | undefined;

  /**
   * Logs to `log` for the balancer `name`, which is named after its file, as there may be several of a kind.
   */
  constructor(name: string, log: Logger, meter = UNMETERED) {
    [this.#name, this.#log, this.#meter] = [name, log, meter];
    meter.count("lighthouse_balancer_drift_total", { balancer: name }, 0);
    meter.count("lighthouse_balancer_config_rejections_total", { balancer: name }, 0);
  }

  /** The balancer's name. */
  get name(): string {
    return this.#name;
  }

  /** Logs a report. */
  tell([name, ...given]: Report): void {
    (this[name] as (...given: unknown[]) => void)(...given);
  }

  /** Logs, when it changes, that another writer manages the balancer and this one stands by. */
  tellStandby(other: string | undefined): void {
    if (other === this.#standby) return;
    this.#standby = other;
    if (other === undefined) {
      this.#log.info("Writer active", { event: "writer.active" });
    } else this.#log.warn(`Writer on standby: ${other}`, { event: "writer.standby" });
  }

  /**
   * Logs a fault once until {@linkcode forgetFaults}. Texts that differ only in a number in parentheses, a
   * pid, are the same fault; of texts that differ in other numbers or in quoted values, as a misbehaving
   * process answers, the first five are logged.
   */
  tellFault(text: string): void {
    this.#log[this.#isNewVariant(text) ? "error" : "debug"](text, { event: "balancer.failed" });
  }

  /** Logs a failed command, by the same rule. */
  tellCommandFailure({ message, kind }: StepFailure): void {
    this.#log[this.#isNewVariant(message) ? "warn" : "debug"](message, { event: "balancer.command_failed", kind });
  }

  /** Logs that the file on disk lags behind the running config, as it cannot be written. */
  tellFileBehind(path: string, reason: string): void {
    const text = `File on disk is older than the running config: ${path}: ${reason}`;
    const level = this.#isNewFault(text) ? "error" : "debug";
    this.#log[level]("File on disk is older than the running config", { event: "balancer.file_behind", path, reason });
  }

  /** Logs which clusters are served although their config is invalid. */
  tellKeptClusters(clusters: readonly ClusterName[]): void {
    const text = `Invalid cluster config; keeping the running config, reloads suspended: ${clusters.join(", ")}`;
    const level = this.#isNewFault(text) ? "error" : "debug";
    this.#log[level]("Invalid cluster config; keeping the running config, reloads suspended", {
      event: "balancer.clusters_kept",
      clusters: clusters.join(", "),
    });
  }

  /** Logs that a turn did not converge. */
  tellRestless(rounds: number): void {
    this.tellFault(`Balancer ${this.#name} did not converge after ${rounds} reconcile rounds`);
  }

  /** Logs the full output of a program that rejected its config. */
  tellRejection(message: string): void {
    this.#log.debug(message, { event: "balancer.config_rejected" });
  }

  /** Logs that somebody else has started the process that serves now. */
  tellReplaced(pid: number): void {
    this.#log.info("Balancer process replaced externally", {
      event: "balancer.replaced",
      pid,
    });
  }

  /** Logs which process serves after a start or a reload, and which old workers still have connections. */
  tellServing(pid: number, oldWorkers: readonly number[]): void {
    const old = oldWorkers.join(", ");
    this.#log.info(old === "" ? "New process serving" : "New process serving; old workers draining", {
      event: "balancer.serving",
      pid,
      ...old === "" ? {} : { old },
    });
  }

  /** Logs that a surplus process was asked to stop. */
  tellDismissed(pid: number, why: string): void {
    this.#log.info("Soft-stopping surplus process", {
      event: "balancer.dismissed",
      pid,
      reason: why,
    });
  }

  /** Notes that all is as desired: every fault from now on is news. */
  forgetFaults(): void {
    this.#faults.clear();
    this.#variants.clear();
  }

  /** Logs that the balancer rejected its config or a cluster's, why, and what happens to it. */
  tellRefusal({ cluster, faults, fate }: Refusal, locate: Locate): void {
    const whose = cluster === undefined ? "Config" : `Config of cluster ${cluster}`;
    this.#meter.count("lighthouse_balancer_config_rejections_total", { balancer: this.#name });
    const text = `${whose} rejected; ${FATES[fate]}: ${list(faults, locate)}`;
    this.#log[this.#isNewFault(text) ? "error" : "debug"](text, {
      event: "balancer.config_rejected",
      ...cluster === undefined ? {} : { cluster },
      fate,
    });
  }

  /**
   * Logs that no process was started or reloaded because an address is taken, by whom, and which line of the
   * config asks for it.
   */
  tellTakenAddress({ cluster, faults, fate }: Refusal, locate: Locate): void {
    const text = `${list(faults, locate)}; ${TAKEN_FATES[fate](cluster)}`;
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

  /**
   * Logs those notices that are new since the last time; of thousands of clusters with the same fault, only
   * the first are listed.
   */
  tellNotices(notices: readonly Notice[], locate: Locate): void {
    const fresh = notices.filter(({ text }) => !this.#notices.has(text));
    for (const { text, origin } of fresh.slice(0, NOTICES_TOLD_MAX)) {
      this.#log.warn(put(locate, origin, text), { event: "balancer.notice" });
    }
    if (fresh.length > NOTICES_TOLD_MAX) {
      const more = fresh.length - NOTICES_TOLD_MAX;
      this.#log.warn("More notices about this config, not logged", { event: "balancer.notice", more });
    }
    this.#notices = new Set(notices.map(({ text }) => text));
  }

  /**
   * Logs what somebody else has changed and `steps` revert; a process that is gone is logged when it is
   * started again.
   */
  tellDrift({ files }: Seen, steps: readonly Step[]): void {
    const changes = steps.flatMap((step) => step.do === "command" && step.found !== undefined ? [step.found] : []);
    const more = changes.length > COMMANDS_IN_LOG ? [`${changes.length - COMMANDS_IN_LOG} more changes`] : [];
    const changed = steps.flatMap((step) =>
      step.do === "install" ? [`file ${step.path} ${files?.has(step.path) ? "changed" : "removed"}`] : []
    );
    const found = [
      ...changes.slice(0, COMMANDS_IN_LOG),
      ...more,
      ...changed,
    ];
    if (found.length === 0) return;
    this.#meter.count("lighthouse_balancer_drift_total", { balancer: this.#name });
    this.#log.warn("Drift detected, reverting", {
      event: "balancer.drift",
      found: found.join(", "),
    });
  }

  /**
   * Logs what was done and why, and what programs wrote; failures are logged elsewhere. `tried`: whether the
   * same steps were carried out before, so that they are no news. `ran`: whether the balancer had been seen
   * serving.
   */
  tellOutcomes(
    outcomes: readonly StepOutcome[],
    { tried, ran, chatter = [] }: {
      readonly tried: boolean;
      readonly ran: boolean;
      /** Prefixes of lines of a program's output that say nothing by themselves. */
      readonly chatter?: readonly string[] | undefined;
    },
  ): void {
    const commands = outcomes.flatMap(({ ok, step }) =>
      ok && step.do === "command" && step.isRead !== true ? [step.command] : []
    );
    if (commands.length > 0) {
      const more = commands.length > COMMANDS_IN_LOG ? ", …" : "";
      const shown = commands.slice(0, COMMANDS_IN_LOG).join(", ") + more;
      this.#log[tried ? "debug" : "info"]("Commands sent", {
        event: "balancer.commands",
        count: commands.length,
        commands: shown,
      });
    }
    for (const outcome of outcomes) if (outcome.ok) this.#tellStep(outcome.step, Math.round(outcome.tookMs), ran);
    for (const outcome of outcomes) if (outcome.ok) this.#tellOutput(outcome.output, chatter);
  }

  #tellStep(step: Step, tookMs: number, ran: boolean): void {
    if (step.do === "install") {
      this.#log.debug("File written", { event: "balancer.file_written", path: step.path, tookMs });
    }
    if (step.do === "remove") {
      this.#log.info("Obsolete output file removed", { event: "balancer.file_removed", path: step.path });
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
      this.#log.info("Balancer reloaded", { event: "balancer.reloaded", reason, tookMs });
    } // A balancer that ran and is gone has crashed, which somebody should look into.
    else if (ran) {
      this.#log.warn("Balancer was not running, restarted", { event: "balancer.restarted", reason, tookMs });
    } else this.#log.info("Balancer started", { event: "balancer.started", reason, tookMs });
  }

  /**
   * Logs what a program wrote; a line that each run repeats, apart from the pid and the line number, is
   * logged once.
   */
  #tellOutput(output: string, chatter: readonly string[]): void {
    const times = new Map<string, number>();
    for (const line of output.split("\n").map((line) => line.trim()).filter((line) => line !== "")) {
      const isChatter = chatter.some((begin) => line.startsWith(begin));
      const loud = /\b(?:warning|alert|error|fatal)\b/i.test(line) && !isChatter;
      // Line numbers shift with each member; lines that differ only in their number count as several.
      const alike = line.replace(/:[0-9]+\]/, "]");
      const time = (times.get(alike) ?? 0) + 1;
      times.set(alike, time);
      const isNews = isNew(`${time} ${alike}`, this.#said);
      this.#log[loud && isNews ? "warn" : "debug"]("Balancer program output", { event: "balancer.output", line });
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

/**
 * Notes a text as logged; returns whether it is new. Texts that differ only in numbers in parentheses, as a
 * pid, are the same.
 */
function isNew(text: string, told: Set<string>): boolean {
  const key = text.replace(/\([0-9]+\)/g, "()");
  if (told.has(key)) return false;
  if (told.size >= TOLD_MAX) told.clear();
  told.add(key);
  return true;
}

/** The first faults of a config, each after its place. */
function list(faults: readonly FileFault[], locate: Locate): string {
  const told = faults.slice(0, FAULTS_TOLD_MAX).map(({ message, origin }) => put(locate, origin, message)).join("; ");
  const more = faults.length > FAULTS_TOLD_MAX ? `; and ${faults.length - FAULTS_TOLD_MAX} more` : "";
  return told + more;
}

/** Puts the place in the config before a text. */
function put(locate: Locate, origin: Origin | undefined, text: string): string {
  return origin === undefined ? text : locate(origin, text);
}
