import { formatKind, type LocalDrain, type NodesOverride, type Pause, type Said } from "../model/override.ts";
import type { Operator } from "./operator.ts";

/** What `GET /overrides` answers. What is not so is `null`. */
export interface Listing {
  readonly role: Operator["role"];
  readonly dir: string;
  readonly overrides: readonly (ListedOrder & {
    readonly cluster: string;
    readonly target: string;
    /** `drain`, `maint` or `weight 50%`. */
    readonly override: string;
  })[];
  readonly pauses: readonly (ListedOrder & { readonly balancer: string | null })[];
  readonly local: readonly (ListedOrder & {
    readonly service: string | null;
    readonly how: LocalDrain["how"];
  })[];
  /** Why all this does not outlive the process. */
  readonly unkept: string | null;
}

/** Who said it, why, since when and until when, as in `2026-11-30T06:00:00.000Z`. */
export interface ListedOrder {
  readonly author: string;
  readonly reason: string | null;
  readonly since: string;
  readonly until: string | null;
  /** Seconds until it ends by itself. */
  readonly leftSeconds: number | null;
}

/** Says what holds, as JSON. Pure. */
export function listingOf({ role, dir, orders, unkept }: Operator, nowMs: number): Listing {
  const said = (order: Said) => saidOf(order, nowMs);
  return {
    role,
    dir,
    overrides: orders.overrides.map((each: NodesOverride) => ({
      cluster: each.cluster,
      target: each.target,
      override: formatKind(each),
      ...said(each),
    })),
    pauses: orders.pauses.map((each: Pause) => ({ balancer: each.balancer ?? null, ...said(each) })),
    local: orders.local.map((each: LocalDrain) => ({ service: each.service ?? null, how: each.how, ...said(each) })),
    unkept: unkept ?? null,
  };
}

function saidOf({ author, reason, sinceMs, untilMs }: Said, nowMs: number): ListedOrder {
  return {
    author,
    reason: reason === "" ? null : reason,
    since: new Date(sinceMs).toISOString(),
    until: untilMs === undefined ? null : new Date(untilMs).toISOString(),
    leftSeconds: untilMs === undefined ? null : Math.max(0, Math.ceil((untilMs - nowMs) / 1_000)),
  };
}
