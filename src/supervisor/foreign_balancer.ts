import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { within } from "../kernel/within.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { Node } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import { sourceFaults, stepFault } from "../plugin/balancer_policy.ts";
import type {
  BalancerCounters,
  BalancerInputs,
  BalancerSources,
  Explanation,
  Listening,
  NodeDetail,
  PermissionRequest,
  PlanAllowance,
  Rendered,
  Schema,
  SchemaResult,
  Seen,
  Step,
  Wanted,
  Weighing,
} from "../plugin/contract.ts";
import { type Awaitable, BeyondGrantError, type Decider, UndecidedError } from "../plugin/decider.ts";
import { decide } from "../plugin/policy.ts";
import type { PluginSource } from "../plugin/source.ts";
import type { BalancerAnswer, Question } from "../protocol/functions.ts";
import type { Answer, Request } from "../protocol/messages.ts";
import { WorkerError } from "../protocol/wire_error.ts";
import { resolveTrusted } from "../system/trusted_file.ts";
import type { Hangs } from "./hangs.ts";
import { PluginHost, WorkerDeadlineError } from "./plugin_host.ts";
import { NoRoomError } from "./room.ts";

/** How long a worker may take to load the plugin. */
const LOAD_DEADLINE_MS = 10_000;
/** How long one answer may take, unless the plugin ships; a later one is never accepted. */
const ANSWER_DEADLINE_MS = 5_000;
/** How long a worker may take to stop. */
const STOP_GRACE_MS = 2_000;
/** The least time between two reloads, whatever a plugin says. */
const RELOAD_INTERVAL_MIN_MS = 1_000;
/** The backoff before a worker that ended is replaced. */
const REST = { firstMs: 1_000, maxMs: 60_000 };
/** The minimum pause after a hang: by then it is known whether its thread keeps running. */
const HUNG_REST_MS = 10_000;
/** A worker that lived this long resets its backoff. */
const PROVEN_MS = 60_000;
/** A writer asks about the current config and about previous ones. */
const PLACES_KEPT_MAX = 8;
/** Maximum number of cached answers of `listens`; there is one for each section of a cluster. */
const LISTENS_KEPT_MAX = 10_000;

export interface ForeignBalancerOptions {
  /** The balancer's name in the config. */
  readonly name: string;
  /** The plugin's module, and what it is granted. */
  readonly source: PluginSource;
  /** How long one answer may take. */
  readonly answerDeadlineMs?: number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter | undefined;
  /** What hung is not run again for a while, or ever. */
  readonly hangs?: Hangs | undefined;
}

/** The observation of a third-party plugin: what was seen, to be parsed again in the worker. */
export interface Sight {
  readonly seen: Seen;
  readonly config: unknown;
}

/** Location of a balancer for one config, and what its plugin may do there. */
interface GrantedSources {
  readonly config: unknown;
  readonly sources: BalancerSources;
  readonly granted: PermissionRequest;
}

/**
 * A balancer with a third-party plugin: its functions run in a worker without any permission, and
 * their answers are checked against the operator's grants before the host acts on them. A worker that
 * dies or hangs is ended; another is started at the next call after a pause. Failures of the plugin
 * are thrown as {@linkcode UndecidedError}, except those that the contract allows in `observe` and
 * `plan`: a `WorkerError`.
 */
export class ForeignBalancer implements Decider<unknown, unknown, Sight>, AsyncDisposable {
  readonly name: string;
  readonly config: Schema<unknown>;
  readonly cluster: Schema<unknown>;
  readonly #options: ForeignBalancerOptions;
  #host: PluginHost | undefined;
  #bornMs = 0;
  #falls = 0;
  #restUntilMs = -Infinity;
  /** Why there is no worker, if it ended. */
  #fallen = "";
  /** Why the last one that ended did. */
  #fellBy = "";
  #isEnded = false;
  #places: readonly GrantedSources[] = [];
  readonly #listens = new Map<string, readonly Listening[]>();
  #refusals = 0;
  #refused = "";

  constructor(options: ForeignBalancerOptions) {
    this.#options = options;
    this.name = options.name;
    this.config = this.#schema((raw) => ({ type: "describe", raw, scope: { instance: this.name } }));
    this.cluster = this.#schema((raw) => ({ type: "section", of: "cluster", raw }));
  }

  /** Number of its plans and places that exceeded its grants. */
  get refusals(): number {
    return this.#refusals;
  }

  /** Returns cached answers at once. */
  listens(config: unknown, section?: unknown): Awaitable<readonly Listening[]> {
    const isOwn = section === undefined;
    const key = JSON.stringify([config, isOwn ? [] : [section]]);
    return this.#listens.get(key) ??
      this.#askListens(key, { ask: "listens", config, section: isOwn ? undefined : { config: section } });
  }

  async inputs(config: unknown): Promise<BalancerInputs> {
    return (await this.#ask({ ask: "inputs", config })).inputs;
  }

  async servedBy(files: ReadonlyMap<string, string>, config: unknown): Promise<readonly ClusterName[]> {
    const { clusters } = await this.#ask({ ask: "servedBy", files, config });
    return clusters ?? [...(await this.adopt(files, config)).keys()];
  }

  async weighing(config: unknown, section: unknown): Promise<Weighing> {
    return (await this.#ask({ ask: "weighing", config, section })).weighing;
  }

  /** Returns at once for a config that was answered before. */
  sources(config: unknown): Awaitable<BalancerSources> {
    const known = this.#places.find((place) => place.config === config);
    return known?.sources ?? this.#find(config).then(({ sources }) => sources);
  }

  async pid(answers: readonly string[]): Promise<number | undefined> {
    return (await this.#ask({ ask: "pid", answers })).pid;
  }

  async observe(seen: Seen, config: unknown): Promise<Sight> {
    await this.#ask({ ask: "observe", seen, config }, { mayThrow: true });
    return { seen, config };
  }

  async adopt(files: ReadonlyMap<string, string>, config: unknown): Promise<ReadonlyMap<ClusterName, readonly Node[]>> {
    return (await this.#ask({ ask: "adopt", files, config })).members;
  }

  async adoptRunning(sight: Sight): Promise<ReadonlyMap<ClusterName, readonly Node[]>> {
    return (await this.#ask({ ask: "adoptRunning", ...sight })).members;
  }

  async nodesDown(sight: Sight): Promise<ReadonlyMap<ClusterName, readonly string[]>> {
    return (await this.#ask({ ask: "nodesDown", ...sight })).down;
  }

  async nodeDetails(answers: readonly string[]): Promise<ReadonlyMap<ClusterName, readonly NodeDetail[]>> {
    return (await this.#ask({ ask: "nodeDetails", answers })).details;
  }

  async counters(answers: readonly string[]): Promise<BalancerCounters | undefined> {
    return (await this.#ask({ ask: "counters", answers })).counters;
  }

  async render(wanted: Wanted): Promise<Rendered> {
    return (await this.#ask({ ask: "render", wanted })).rendered;
  }

  async plan(wanted: Wanted, rendered: Rendered, sight: Sight, allowed: PlanAllowance): Promise<readonly Step[]> {
    const place = this.#places.find(({ config }) => config === wanted.config) ?? await this.#find(wanted.config);
    const question: Question & { ask: "plan" } = { ask: "plan", wanted, rendered, ...sight, allowed };
    const { steps } = await this.#ask(question, { mayThrow: allowed.reload });
    for (const step of steps) {
      const fault = stepFault(step, { ...place, seen: sight.seen });
      if (fault !== undefined) {
        throw this.#refuse(`Cannot ${fault} for balancer ${this.name}: permission not granted`);
      }
      if (step.do === "install" || step.do === "remove") await this.#refuseLink(step.path);
      for (const { path } of step.do === "notify" ? step.rollback ?? [] : []) await this.#refuseLink(path);
    }
    return steps;
  }

  async explain(rendered: Rendered, output: string): Promise<Explanation> {
    const { explanation } = await this.#ask({ ask: "explain", rendered, output });
    return explanation ?? { faults: [{ message: output, remedy: [] }] };
  }

  /** Ends its worker; pending and later calls get an {@linkcode UndecidedError}. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    const host = this.#host;
    this.#host = undefined;
    if (host === undefined) return;
    const { source, hangs } = this.#options;
    await host.stop({ graceMs: STOP_GRACE_MS });
    if (host.fellSilent) hangs?.note(source.module, host.dead ?? "no response");
    hangs?.ended();
  }

  #schema(request: (raw: unknown) => Request): Schema<unknown> {
    const validate = async (raw: unknown): Promise<SchemaResult<unknown>> => {
      const answer = await this.#call(request(raw), { mayThrow: false });
      if (answer.type === "invalid") return { issues: answer.issues };
      if (answer.type === "described" || answer.type === "valid") return { value: answer.config };
      throw this.#undecided(`unexpected response to ${request(raw).type}: ${answer.type}`);
    };
    return { "~standard": { version: 1, vendor: "lighthouse", validate } };
  }

  async #askListens(key: string, question: Question & { ask: "listens" }): Promise<readonly Listening[]> {
    const { listens } = await this.#ask(question);
    if (this.#listens.size >= LISTENS_KEPT_MAX) this.#listens.clear();
    this.#listens.set(key, listens);
    return listens;
  }

  /** Asks where the balancer is, and checks that against the operator's grants. */
  async #find(config: unknown): Promise<GrantedSources> {
    const scope = { instance: this.name };
    const { sources, permissions } = await this.#ask({ ask: "sources", config, scope });
    const grant = decide(permissions, { kind: "balancer", source: this.#options.source, scope });
    if (!grant.ok) {
      throw this.#refuse(`Requested permissions were not granted: ${grant.reasons.join("; ")}`);
    }
    const faults = sourceFaults(sources, grant.granted);
    if (faults.length > 0) {
      throw this.#refuse(
        `Cannot ${faults.join(", ")} for balancer ${this.name}: the plugin did not request the permission`,
      );
    }
    const pidFiles = (sources.children ?? []).map(({ pidFile }) => pidFile);
    const directories = sources.directory === undefined ? [] : [sources.directory.path];
    for (const path of [sources.file, ...sources.moreFiles ?? [], ...directories, ...pidFiles]) {
      await this.#refuseLink(path);
    }
    const isForeign = this.#options.source.origin === "foreign";
    const reloadIntervalMs = Math.max(sources.reloadIntervalMs, isForeign ? RELOAD_INTERVAL_MIN_MS : 0);
    const place = { config, sources: { ...sources, reloadIntervalMs }, granted: grant.granted };
    this.#places = [place, ...this.#places].slice(0, PLACES_KEPT_MAX);
    return place;
  }

  /** Rejects a file that a link leads out of its granted directory. A file that was granted itself may be a link. */
  async #refuseLink(path: string): Promise<void> {
    const { write = [] } = this.#options.source.allow ?? {};
    if (write.includes(path)) return;
    const folder = write.map((each) => each.replace(/\/$/, "")).find((each) => path.startsWith(`${each}/`));
    if (folder === undefined) return;
    const [real, realFolder] = await Promise.all([path, folder].map(resolveTrusted)).catch((error) => {
      throw this.#refuse(`Cannot write ${path} for balancer ${this.name}: ${error.message}`);
    });
    if (real?.startsWith(`${realFolder}/`)) return;
    throw this.#refuse(
      `Cannot write ${path} for balancer ${this.name}: symlink to ${real}, which is not granted`,
    );
  }

  async #ask<Asked extends Question["ask"]>(
    question: Question & { readonly ask: Asked },
    { mayThrow = false }: { readonly mayThrow?: boolean } = {},
  ): Promise<Extract<BalancerAnswer, { readonly ask: Asked }>> {
    const answer = await this.#call({ type: "decide", question }, { mayThrow });
    if (answer.type === "decided" && answer.decision.ask === question.ask) {
      return answer.decision as Extract<BalancerAnswer, { readonly ask: Asked }>;
    }
    throw this.#undecided(`unexpected response to ${question.ask}`);
  }

  async #call(request: Request, { mayThrow }: { readonly mayThrow: boolean }): Promise<Answer> {
    const { clock, answerDeadlineMs = ANSWER_DEADLINE_MS } = this.#options;
    let host: PluginHost;
    try {
      host = this.#host ?? this.#start();
    } catch (error) {
      if (error instanceof NoRoomError) throw this.#undecided(error.message);
      throw error;
    }
    try {
      const late = () => new WorkerDeadlineError(`not loaded within ${formatDuration(LOAD_DEADLINE_MS)}`);
      await within(host.loaded(), LOAD_DEADLINE_MS, { clock, late });
      return await host.call(request, { deadlineMs: answerDeadlineMs });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof WorkerError) {
        if (mayThrow) throw error;
        throw this.#undecided(`uncaught error: ${reason}`);
      }
      // Its functions are synchronous: a late one hangs, and would block other calls too.
      this.#fall(host, reason, { isHung: error instanceof WorkerDeadlineError });
      throw this.#undecided(reason);
    }
  }

  #start(): PluginHost {
    const { source, clock, log, meter, hangs } = this.#options;
    if (this.#isEnded) throw this.#undecided("balancer removed from the config");
    const refusal = hangs?.refusal(source.module);
    if (refusal?.isForGood) throw this.#undecided(refusal.reason);
    if (refusal !== undefined || clock.now() < this.#restUntilMs) throw this.#undecided(this.#fallen || "hung");
    const at = { balancer: this.name };
    const host: PluginHost = new PluginHost({
      name: `balancer ${this.name}`,
      kind: "balancer",
      module: source.module,
      permissions: "none",
      clock,
      meter,
      onEvent: (event) => {
        if (event.type === "log") log[event.level](event.message, { ...event.properties, ...at });
      },
      onDeath: (reason) => this.#fall(host, reason, { isHung: host.fellSilent }),
      onRefused: (reason) => log.warn("Worker message rejected", { event: "worker.rejected", ...at, reason }),
    });
    [this.#host, this.#bornMs, this.#fallen] = [host, clock.now(), ""];
    return host;
  }

  /** Ends a worker that cannot continue; the next one starts after a pause. */
  #fall(host: PluginHost, reason: string, { isHung }: { readonly isHung: boolean }): void {
    if (this.#host !== host) return;
    const { source, clock, random, log, meter = UNMETERED, hangs } = this.#options;
    this.#host = undefined;
    meter.count("lighthouse_worker_restarts_total", { worker: host.name });
    const isNews = this.#fellBy !== reason;
    [this.#fallen, this.#fellBy] = [reason, reason];
    if (isHung) hangs?.note(source.module, reason);
    void host.stop({ graceMs: 0 }).then(() => hangs?.ended());
    if (clock.now() - this.#bornMs > PROVEN_MS) this.#falls = 0;
    const waitMs = Math.round((isHung ? HUNG_REST_MS : 0) + backoffMs(this.#falls++, REST, random));
    this.#restUntilMs = clock.now() + waitMs;
    const at = { balancer: this.name, reason, waitMs, falls: this.#falls };
    log[isNews ? "warn" : "debug"]("Balancer plugin worker died; leaving the balancer unchanged", {
      event: "plugin.balancer_ended",
      ...at,
    });
  }

  /** Counts an action that exceeds the grants, and logs it once. */
  #refuse(reason: string): BeyondGrantError {
    const level = reason === this.#refused ? "debug" : "warn";
    this.#refused = reason;
    const at = { balancer: this.name, reason, refusals: ++this.#refusals };
    this.#options.log[level]("Denied: balancer plugin exceeded its permissions", {
      event: "plugin.balancer_rejected",
      ...at,
    });
    return new BeyondGrantError(reason);
  }

  #undecided(reason: string): UndecidedError {
    return new UndecidedError(`Cannot use the plugin of balancer ${this.name}: ${reason}`);
  }
}
