import type { Wanted } from "../plugin/contract.ts";
import type { Decider } from "../plugin/decider.ts";
import { ForeignBalancer, type ForeignBalancerOptions } from "./foreign_balancer.ts";

/** How long all templates of a balancer together may take: each is ended by itself before. */
const RENDER_DEADLINE_MS = 30_000;

/**
 * A built-in balancer that evaluates what others wrote, such as templates: `render` runs in a worker without any
 * permission, with a deadline; all else, which only compares files, in the host.
 */
export function renderApart(plugin: Decider, options: ForeignBalancerOptions): Decider & AsyncDisposable {
  const worker = new ForeignBalancer({ ...options, answerDeadlineMs: RENDER_DEADLINE_MS });
  return {
    ...plugin,
    render: (wanted: Wanted) => worker.render(wanted),
    [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
  };
}
