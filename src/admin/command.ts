/**
 * What an operator can ask for over the admin interface: the verbs, with what
 * each takes as JSON. The command line sends it, the server validates it, the
 * app carries it out.
 *
 * @module
 */
import { converted, flag, type HouseSchema, houseSchema, keys, matching, optional, seconds } from "../kernel/schema.ts";
import { isPercent, isSaying, isTarget, PERCENT_MAX, SAID_LENGTH_MAX, TARGET_WANTED } from "../model/override.ts";

/** What each command says of itself. */
export interface Statement {
  readonly author: string;
  readonly reason?: string | undefined;
  /** How long it holds; absent: until it is revoked. */
  readonly forMs?: number | undefined;
}

/** A command that changes something. */
export type AdminCommand =
  | Statement & {
    readonly verb: "drain" | "maint";
    readonly cluster: string;
    readonly target: string;
    /** Whether the last ready node may go. */
    readonly force: boolean;
  }
  | { readonly verb: "undrain"; readonly author: string; readonly cluster: string; readonly target: string }
  | Statement & {
    readonly verb: "weight";
    readonly cluster: string;
    readonly target: string;
    readonly percent: number;
    readonly force: boolean;
  }
  | Statement & { readonly verb: "pause"; readonly balancer?: string | undefined }
  | Statement & {
    /** This host's own nodes, in the registry: every writer drains them. */
    readonly verb: "drain-local";
    readonly service?: string | undefined;
    readonly deregister: boolean;
  }
  | { readonly verb: "undrain-local"; readonly author: string; readonly service?: string | undefined }
  | { readonly verb: "resume"; readonly author: string; readonly balancer?: string | undefined };

/** The name of a command. */
export type AdminVerb = AdminCommand["verb"];

/** An order holds no longer than this: ten years. */
export const FOR_MAX_MS = 3_650 * 86_400_000;
/** A pause holds no longer than this: nobody wants HAProxy unmanaged for good. */
export const PAUSE_MAX_MS = 7 * 86_400_000;

const saying = () =>
  converted((value) => isSaying(value) ? value : undefined, `a single line of 1 to ${SAID_LENGTH_MAX} characters`);
const named = (what: string) => matching(/^[A-Za-z0-9_.:-]{1,255}$/, `the name of a ${what}`);
const target = () =>
  converted(
    (value) => isTarget(value) ? value : undefined,
    TARGET_WANTED,
  );
const holds = (mostMs: number) => seconds({ min: 1, max: mostMs / 1_000 });

const STATEMENT = { author: saying(), reason: optional(saying()), for: optional(holds(FOR_MAX_MS)) } as const;
const NODES = { cluster: named("cluster"), target: target() } as const;

/** What each verb takes. */
const SCHEMAS = {
  drain: houseSchema(keys({ ...STATEMENT, ...NODES, force: optional(flag(), false) })),
  maint: houseSchema(keys({ ...STATEMENT, ...NODES, force: optional(flag(), false) })),
  undrain: houseSchema(keys({ author: saying(), ...NODES })),
  weight: houseSchema(keys({
    ...STATEMENT,
    ...NODES,
    percent: converted(
      (value) => isPercent(value) ? value : undefined,
      `a whole percentage from 0 to ${PERCENT_MAX}`,
    ),
    force: optional(flag(), false),
  })),
  pause: houseSchema(keys({
    author: saying(),
    reason: saying(),
    for: holds(PAUSE_MAX_MS),
    balancer: optional(named("balancer")),
  })),
  "drain-local": houseSchema(keys({
    ...STATEMENT,
    service: optional(named("service")),
    deregister: optional(flag(), false),
  })),
  "undrain-local": houseSchema(keys({ author: saying(), service: optional(named("service")) })),
  resume: houseSchema(keys({ author: saying(), balancer: optional(named("balancer")) })),
} as const satisfies Readonly<Record<AdminVerb, HouseSchema<unknown>>>;

/** The verbs. */
export const ADMIN_VERBS = Object.keys(SCHEMAS) as readonly AdminVerb[];

/** What {@linkcode parseCommand} answers. */
export type ParsedCommand =
  | { readonly ok: true; readonly command: AdminCommand }
  | { readonly ok: false; readonly reason: string };

/** Whether there is such a verb. */
export function isVerb(verb: string): verb is AdminVerb {
  return Object.hasOwn(SCHEMAS, verb);
}

/** Reads what came with a verb. `author` is who it is known to be, whatever the body says. Pure. */
export function parseCommand(verb: AdminVerb, body: unknown, author?: string): ParsedCommand {
  const given = author !== undefined && typeof body === "object" && body !== null && !Array.isArray(body)
    ? { ...body, author }
    : body;
  const result = SCHEMAS[verb]["~standard"].validate(given);
  if ("issues" in result) {
    const faults = result.issues.map(({ message }) => message.replace("Cannot use the file:", "The body"));
    return { ok: false, reason: faults.join("; ") };
  }
  const { for: forSeconds, ...command } = result.value as Record<string, unknown>;
  const timed = forSeconds === undefined ? command : { ...command, forMs: Number(forSeconds) * 1_000 };
  return { ok: true, command: { verb, ...timed } as AdminCommand };
}

/** Writes a command as {@linkcode parseCommand} reads it. Pure. */
export function formatCommand(command: AdminCommand): { readonly verb: AdminVerb; readonly body: object } {
  const { verb, ...rest } = command;
  if (!("forMs" in rest) || rest.forMs === undefined) return { verb, body: { ...rest, forMs: undefined } };
  const { forMs, ...body } = rest;
  return { verb, body: { ...body, for: forMs / 1_000 } };
}

/** Whose connections are asked for: of nodes of a cluster, or of this host's own services. */
export type ConnectionsQuery =
  | { readonly cluster: string; readonly target: string }
  | { readonly service?: string | undefined };

/** Reads the query of `GET /connections`; `undefined` if it is none. Pure. */
export function parseConnectionsQuery(query: URLSearchParams): ConnectionsQuery | undefined {
  const [cluster, target, service] = ["cluster", "target", "service"].map((key) => query.get(key) ?? undefined);
  if (cluster === undefined && target === undefined) return service === undefined ? {} : { service };
  return cluster !== undefined && isTarget(target) && service === undefined ? { cluster, target } : undefined;
}
