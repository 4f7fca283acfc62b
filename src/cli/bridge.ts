import { Bridge, type BridgeState } from "../app/bridge.ts";
import { addressOf } from "../app/bridge_plan.ts";
import { sourceIn } from "../app/cluster_source.ts";
import { readDirectory } from "../app/validate.ts";
import type { Clock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { abortable } from "../kernel/within.ts";
import { complainOfConfig } from "./config_complaint.ts";
import { EXIT } from "./exit_codes.ts";
import { formatNode } from "./node_listing.ts";

/** A cluster of one registry, as `DISCOVERY/CLUSTER`. */
export interface BridgeEnd {
  readonly discovery: string;
  readonly cluster: string;
}

/** The arguments of `bridge`. */
export interface BridgeArguments {
  readonly from: BridgeEnd;
  readonly to: BridgeEnd;
  readonly write: boolean;
  readonly watch: boolean;
  readonly removeOthers: boolean;
  readonly timeoutMs: number;
}

/** The functions of the process that `bridge` needs. */
export interface BridgeCommandOptions {
  readonly dir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Receives each line of the difference, without a newline. */
  readonly print: (line: string) => void;
  /** Receives each error line. */
  readonly complain: (line: string) => void;
}

/** Copies the nodes of one registry to another, or prints what that would change; returns the exit code. */
export async function bridge(given: BridgeArguments, options: BridgeCommandOptions): Promise<number> {
  const { from, to, write, watch, removeOthers, timeoutMs } = given;
  const { dir, clock, random, log, signal, print, complain } = options;
  if (write && !watch) {
    complain("--write requires --watch: nodes registered by a bridge expire with its session");
    return EXIT.usage;
  }
  if (from.discovery === to.discovery && from.cluster === to.cluster) {
    complain(`Cannot bridge ${from.discovery}/${from.cluster} to itself: --from and --to must differ`);
    return EXIT.usage;
  }
  const directory = await readDirectory(dir);
  const { accepted } = directory;
  if (accepted === undefined) return complainOfConfig(directory, { complain });
  const source = sourceIn(accepted, from.cluster, { named: from.discovery, capability: "watch" });
  const target = sourceIn(accepted, to.cluster, { named: to.discovery, capability: "watch" });
  const writable = sourceIn(accepted, to.cluster, { named: to.discovery, capability: "register" });
  if (!source.ok) return complainOfConfig(directory, { reason: source.reason, complain });
  if (!target.ok) return complainOfConfig(directory, { reason: target.reason, complain });
  if (!writable.ok) return complainOfConfig(directory, { reason: writable.reason, complain });
  const serviceOptions = [...accepted.services.values()].filter(({ service }) => service.name === to.cluster)
    .flatMap(({ service, options }) =>
      service.sources.filter(({ discovery }) => discovery === to.discovery).map(({ name }) => options?.get(name))
    )[0];
  const heard = Promise.withResolvers<void>();
  let last = "";
  const show = (state: BridgeState) => {
    const text = describe(state, { from, to }).join("\n");
    if (text === last) return;
    last = text;
    if (text !== "") print(text);
  };
  let isShown = false;
  const troubles = new Map<BridgeEnd, string | undefined>();
  const report = (end: BridgeEnd, trouble: string | undefined) => {
    if (trouble === troubles.get(end)) return;
    troubles.set(end, trouble);
    const name = `${end.discovery}/${end.cluster}`;
    complain(
      trouble === undefined ? `${name}: connected again` : `${name}: registry unreachable: ${trouble}; still watching`,
    );
  };
  await using running = new Bridge({
    source: source.source,
    target: target.source,
    serviceOptions,
    removeOthers,
    isWriting: write,
    clock,
    random,
    log,
    onState(state) {
      if (state.source !== undefined && state.target !== undefined) heard.resolve();
      if (!isShown) return;
      show(state);
      report(from, state.trouble.source);
      report(to, state.trouble.target);
    },
  });
  using late = deadline(timeoutMs, { clock, signal });
  await abortable(heard.promise, late.signal).catch(() => {});
  const { state } = running;
  const ends = [
    { end: from, nodes: state.source, trouble: state.trouble.source },
    { end: to, nodes: state.target, trouble: state.trouble.target },
  ];
  const silent = ends.filter(({ nodes }) => nodes === undefined);
  for (const { end, trouble } of silent) {
    const reason = trouble === undefined
      ? "no response, or a response held by the guard"
      : `registry unreachable: ${trouble}`;
    complain(
      `Cannot read ${end.discovery}/${end.cluster} within ${formatDuration(timeoutMs)} (--timeout): ${reason}`,
    );
  }
  if (silent.length > 0 && !watch) return EXIT.failed;
  show(state);
  isShown = true;
  if (!watch) return state.plan === undefined ? EXIT.failed : EXIT.ok;
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  return EXIT.ok;
}

/** Formats the plan, a line for each node. Pure. */
function describe(
  { source, target, plan }: BridgeState,
  { from, to }: { readonly from: BridgeEnd; readonly to: BridgeEnd },
): readonly string[] {
  if (source === undefined || target === undefined) return [];
  if (plan === undefined) {
    return [`# ${from.discovery}/${from.cluster} has no nodes; ${to.discovery}/${to.cluster} unchanged`];
  }
  const lines = (sign: string, nodes: typeof plan.register) =>
    nodes.map((node) => `${sign} ${formatNode(node, undefined)}`);
  const there = new Set(target.map(addressOf));
  const missing = plan.register.filter((node) => !there.has(addressOf(node)));
  const all = [...lines("+", missing), ...lines("-", plan.remove), ...lines("=", plan.others)];
  return all.length > 0
    ? all
    : [`# ${to.discovery}/${to.cluster} already has every node of ${from.discovery}/${from.cluster}`];
}
