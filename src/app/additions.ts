import type { Additions, AdditionsPath, AdditionsResult } from "../admin/additions.ts";
import type { Accepted } from "../config/accepted.ts";
import { NODES_DISCOVERY } from "../config/additions.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import type { Reading } from "../config/reading.ts";
import type { Clock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import { Serial } from "../kernel/serial.ts";
import type { KeptAdditions } from "../membership/kept_additions.ts";
import { type Addition, ADDITIONS_MAX, isSameAddition } from "../model/addition.ts";

export interface AppAdditionsOptions {
  readonly kept: KeptAdditions;
  readonly clock: Clock;
  readonly log: Logger;
  readonly accepted: () => Accepted | undefined;
  readonly reading: () => Reading;
}

/** How long a config with an addition may take to be read. */
const TAKEN_MS = 10_000;
const TAKEN_POLL_MS = 20;

/** Adds nodes and sources to clusters: each is validated as part of the cluster's file, and removed again if it is invalid. */
export class AppAdditions implements Additions {
  readonly #options: AppAdditionsOptions;
  readonly #serial = new Serial();

  constructor(options: AppAdditionsOptions) {
    this.#options = options;
  }

  /** All that hold now. */
  get all(): readonly Addition[] {
    return this.#options.kept.now;
  }

  get({ cluster, kind, name }: AdditionsPath): AdditionsResult {
    const unknown = this.#unknown(cluster);
    if (unknown !== undefined) return unknown;
    const all = this.#options.kept.now.filter((each) => each.cluster === cluster && each.kind === kind);
    if (name === undefined) {
      return { status: 200, said: Object.fromEntries(all.map((each) => [each.name, additionAsJson(each, kind)])) };
    }
    const found = all.find((each) => each.name === name);
    return found === undefined ? missing(cluster, kind, name) : { status: 200, said: additionAsJson(found, kind) };
  }

  put(addition: Addition): Promise<AdditionsResult> {
    return this.#serial.run(() => this.#put(addition));
  }

  remove({ cluster, kind, name }: AdditionsPath & { readonly name: string }): Promise<AdditionsResult> {
    return this.#serial.run(async () => {
      // Also of a cluster that is not accepted: the addition may be the reason.
      const removed = await this.#options.kept.remove({ cluster, kind, name });
      if (removed === undefined) return missing(cluster, kind, name);
      this.#options.log.info("Addition removed", { event: "addition.removed", cluster, kind, name });
      return { status: 204 };
    });
  }

  async #put(addition: Addition): Promise<AdditionsResult> {
    const { kept, clock, reading, log } = this.#options;
    const { cluster, kind, name } = addition;
    const refused = this.#unknown(cluster) ?? this.#denied(addition);
    if (refused !== undefined) return refused;
    const faultsNow = () => faultsOf(reading().diagnostics, this.#fileOf(cluster) ?? cluster);
    const [before, startedMs] = [faultsNow(), clock.now()];
    const replaced = await kept.put(addition);
    // Not by the signal of the request: an addition whose client has left is validated all the same.
    using late = deadline(TAKEN_MS, { clock });
    // A reading that had begun before may not have seen it.
    const isRead = () => (reading().begunMs ?? -Infinity) >= startedMs;
    while (!isRead() && !late.signal.aborted) {
      await delay(TAKEN_POLL_MS, { clock, signal: late.signal }).catch(() => {});
    }
    const faults = faultsNow().filter((fault) => !before.includes(fault));
    if (!isRead() || faults.length > 0) {
      await (replaced === undefined ? kept.remove(addition) : kept.put(replaced));
      return faults.length > 0
        ? { status: 400, said: { error: faults.join("; ") } }
        : { status: 503, said: { error: "Timed out rereading the config; try again" } };
    }
    log.info("Addition set", { event: "addition.set", cluster, kind, name });
    const { unkept } = kept;
    const warnings = unkept === undefined ? [] : [`This change is lost when this process exits: ${unkept}`];
    const said = { ...additionAsJson(addition, kind) as object, ...warnings.length > 0 && { warnings } };
    return { status: replaced === undefined ? 201 : 200, said };
  }

  /** What the cluster's file does not let others add. */
  #denied(addition: Addition): AdditionsResult | undefined {
    const { cluster, kind, value } = addition;
    const api = [...this.#options.accepted()?.clusters.values() ?? []].find((each) => each.cluster.name === cluster)
      ?.cluster.api;
    const deny = (error: string): AdditionsResult => ({ status: 403, said: { error } });
    if (kind === "nodes") {
      if (api?.nodes !== true) {
        return deny(`Cannot add nodes to ${cluster}: the cluster's file does not set api: {nodes: true}`);
      }
      if (this.#options.accepted()?.discovery.has(NODES_DISCOVERY) !== true) {
        return { status: 409, said: { error: `Cannot add nodes: discovery/${NODES_DISCOVERY}.yaml does not exist` } };
      }
    } else {
      const [discovery = ""] = Object.keys(value).filter((key) => key !== "traffic");
      if (api?.sources.includes(discovery) !== true) {
        const allowed = api?.sources.join(", ") || "none";
        return deny(`Cannot add a ${discovery} source to ${cluster}: api.sources allows ${allowed}`);
      }
    }
    const { now } = this.#options.kept;
    const isFull = now.length >= ADDITIONS_MAX && !now.some((each) => isSameAddition(each, addition));
    return isFull
      ? { status: 409, said: { error: `Cannot add ${addition.name}: limit of ${ADDITIONS_MAX} additions reached` } }
      : undefined;
  }

  #unknown(cluster: string): AdditionsResult | undefined {
    if (this.#options.accepted() === undefined) {
      return { status: 503, said: { error: "The config has not been read yet; try again shortly" } };
    }
    return this.#fileOf(cluster) === undefined
      ? { status: 404, said: { error: `Cluster ${cluster} does not exist` } }
      : undefined;
  }

  /** The name of a cluster's file. */
  #fileOf(cluster: string): string | undefined {
    for (const [file, each] of this.#options.accepted()?.clusters ?? []) if (each.cluster.name === cluster) return file;
    return undefined;
  }
}

function missing(cluster: string, kind: string, name: string): AdditionsResult {
  return { status: 404, said: { error: `${name} is not among the added ${kind} of cluster ${cluster}` } };
}

/** What is wrong with a cluster's file. */
function faultsOf(diagnostics: readonly Diagnostic[], file: string): readonly string[] {
  return diagnostics.filter((each) =>
    each.severity === "error" && /\/clusters\/([^/]+)\.ya?ml$/.exec(each.file)?.[1] === file
  )
    .map(({ message }) => message);
}

/** Writes an addition as it is served. */
function additionAsJson({ value, untilMs }: Addition, kind: Addition["kind"]): unknown {
  const said = kind === "nodes" ? value : { discovery: value };
  return { ...said, ...untilMs !== undefined && { until: new Date(untilMs).toISOString() } };
}
