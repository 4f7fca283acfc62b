import type { Decider } from "../plugin/decider.ts";
import type { Step } from "../plugin/contract.ts";

/** How a single run of the writer goes. */
export interface OnceOptions {
  /** How long it may take. */
  readonly deadlineMs: number;
  /** Whether programs are started and reloaded, too. */
  readonly reloads: boolean;
}

/** How a balancer stands, as its writer sees it. Times are those of the writer's clock. */
export interface OnceStanding {
  /** Whether all that is desired was seen applied when last looked at. */
  readonly inForce: boolean;
  /** When that was. */
  readonly turnedMs: number | undefined;
  readonly lastError: { readonly text: string; readonly atMs: number } | undefined;
}

/** What a single run has come to. */
export type OnceProgress =
  /** All is applied. */
  | { readonly state: "applied" }
  /** It cannot be, and why. */
  | { readonly state: "failed"; readonly reason: string }
  /** It is under way; `reason` says what it waits for. */
  | { readonly state: "waiting"; readonly reason: string };

/** How a single run stands. Pure. */
export function onceProgress({ unheard, heardMs, errors, configured, balancers }: {
  /** The clusters and the keys of which no registry has reported yet. */
  readonly unheard: readonly string[];
  /** When all had been reported; `undefined` before. */
  readonly heardMs: number | undefined;
  /** What is wrong with the config. */
  readonly errors: readonly string[];
  /** The balancers of the config. */
  readonly configured: readonly string[];
  /** Those that have begun. */
  readonly balancers: ReadonlyMap<string, OnceStanding>;
}): OnceProgress {
  const [error] = errors;
  if (error !== undefined) return { state: "failed", reason: error };
  if (configured.length === 0) return { state: "failed", reason: "no balancer is configured" };
  if (heardMs === undefined) return { state: "waiting", reason: `no registry has reported ${unheard.join(", ")}` };
  const unbegun = configured.filter((name) => !balancers.has(name));
  const unapplied = [...balancers].filter(([, { inForce, turnedMs }]) => !inForce || (turnedMs ?? -Infinity) < heardMs);
  for (const [name, { lastError, turnedMs }] of unapplied) {
    // What went wrong before all was known was tried again since.
    if (lastError === undefined || lastError.atMs < heardMs || (turnedMs ?? -Infinity) < lastError.atMs) continue;
    return { state: "failed", reason: `${name}: ${lastError.text}` };
  }
  const missing = [...unbegun, ...unapplied.map(([name]) => name)];
  return missing.length === 0
    ? { state: "applied" }
    : { state: "waiting", reason: `not applied: ${missing.join(", ")}` };
}

/** A balancer's plugin that plans files alone: no program is started, reloaded or notified, and no command is sent. */
export function filesOnly(plugin: Decider): Decider {
  return new Proxy(plugin, {
    get(target, key) {
      if (key === "shortcut") return undefined;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (key !== "plan") return value.bind(target);
      return async (...given: Parameters<Decider["plan"]>) => withoutPrograms(await target.plan(...given));
    },
  });
}

/** Leaves the steps of a plan that write files; what follows the reload of an output says that it was made. Pure. */
export function withoutPrograms(steps: readonly Step[]): readonly Step[] {
  const dropped = new Set<string>();
  return steps.filter((step) => {
    const output = "output" in step ? step.output : undefined;
    const isFile = step.do === "install" || step.do === "remove";
    if (!isFile && output !== undefined) dropped.add(output);
    return isFile && !dropped.has(output ?? "");
  });
}
