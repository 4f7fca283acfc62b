import { counted } from "../kernel/counted.ts";
import { type AdminCommand, formatCommand } from "../admin/command.ts";
import type { Explained } from "../admin/explained.ts";
import type { ListedOrder, Listing } from "../admin/listing.ts";
import { HttpClient } from "../http/client.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { formatDuration } from "../kernel/duration.ts";
import { isRecord } from "../model/node.ts";
import { formatStatusAddress, type StatusAddress } from "../model/status_address.ts";
import { EXIT } from "./exit_codes.ts";
import { type ExplainTarget, explainText, pickExplained } from "./explain_text.ts";

/** The arguments of every operator command. */
export interface OperatorArguments {
  readonly dir: string;
  readonly admin?: StatusAddress | undefined;
  readonly tokenFile?: string | undefined;
  readonly ca?: string | undefined;
  readonly timeoutMs: number;
  readonly json: boolean;
  /** How long to wait for connections to end; absent: not at all. */
  readonly waitMs?: number | undefined;
}

/** What to ask for: a command, the list of what holds, or what nodes get and why. */
export type Asked =
  | AdminCommand
  | { readonly verb: "overrides" }
  | { readonly verb: "explain"; readonly target?: ExplainTarget | undefined };

/** What `drain` and `undrain` get from their command lines. */
export interface DrainArguments {
  readonly verb: "drain" | "undrain";
  readonly what?: string | undefined;
  readonly target?: string | undefined;
  readonly local: boolean;
  readonly author: string;
  readonly reason?: string | undefined;
  readonly forMs?: number | undefined;
  readonly force?: boolean;
  readonly deregister?: boolean;
}

/** Makes a command of the arguments; a string is the usage error. Pure. */
export function commandOf({ what, target, local, ...given }: DrainArguments): AdminCommand | string {
  const { verb, author, reason, forMs, force = false, deregister = false } = given;
  if (!local) {
    if (what === undefined || target === undefined) return `${verb} requires a CLUSTER and a NODE or HOST, or --local`;
    if (deregister) return "--deregister requires --local";
    return verb === "drain"
      ? { verb, cluster: what, target, author, reason, forMs, force }
      : { verb, cluster: what, target, author };
  }
  if (target !== undefined) return `${verb} --local accepts only a service name`;
  if (force) return "--force cannot be combined with --local";
  const service = what === undefined ? {} : { service: what };
  return verb === "drain"
    ? { verb: "drain-local", ...service, author, reason, forMs, deregister }
    : { verb: "undrain-local", ...service, author };
}

/** The functions of the process that operator commands need. */
export interface OperatorOptions {
  readonly fromHere: (path: string) => string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
}

/** Where the shipped units serve their admin interfaces. */
const STANDARD: readonly StatusAddress[] = [
  { path: "/run/lighthouse/writer.sock" },
  { path: "/run/lighthouse/reporter.sock" },
];
/** For so long there is to be no connection. */
const EMPTY_MS = 5_000;
const POLL_MS = 250;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** That a command could not be carried out; the message is for who typed it. */
class CommandError extends Error {
  override name = "CommandError";
  /** The status of the response, if there was one. */
  readonly status: number | undefined;

  constructor(message: string, { status }: { readonly status?: number } = {}) {
    super(message);
    this.status = status;
  }
}

/** An admin interface that answers. */
interface Found {
  readonly at: StatusAddress;
  readonly listing: Listing;
  readonly ask: (method: "GET" | "POST", path: string, body?: object) => Promise<unknown>;
}

/** Carries out a command of an operator; answers the exit code. */
export async function runOperatorCommand(
  asked: Asked,
  given: OperatorArguments,
  options: OperatorOptions,
): Promise<number> {
  const { print, complain, signal } = options;
  try {
    await using clients = new AsyncDisposableStack();
    const isLocal = asked.verb === "drain-local" || asked.verb === "undrain-local";
    const { ask, listing } = await find(given, options, {
      clients,
      roles: asked.verb === "overrides" ? undefined : isLocal ? ["reporter", "run"] : ["writer", "run"],
    });
    if (asked.verb === "overrides") {
      for (const line of given.json ? [JSON.stringify(listing, null, 2)] : linesOf(listing)) print(line);
      if (listing.unkept !== null) complain(`These changes are lost when the process exits: ${listing.unkept}`);
      return EXIT.ok;
    }
    if (asked.verb === "explain") {
      const { target = {} } = asked;
      const picked = pickExplained(await ask("GET", "/explain") as Explained, target);
      if (picked.clusters.length === 0) {
        throw new CommandError(`No cluster named ${target.cluster}: no file in clusters/ has this name`);
      }
      for (const line of given.json ? [JSON.stringify(picked, null, 2)] : explainText(picked, target)) print(line);
      return EXIT.ok;
    }
    const { verb, body } = formatCommand(asked);
    const answer = await ask("POST", `/${verb}`, body);
    const { did, warnings } = answer as { readonly did: readonly string[]; readonly warnings: readonly string[] };
    if (given.json) print(JSON.stringify({ did, warnings }));
    else for (const line of did) print(line);
    for (const warning of given.json ? [] : warnings) complain(warning);
    return given.waitMs === undefined ? EXIT.ok : await awaitEmpty(asked, given.waitMs, ask, options);
  } catch (error) {
    if (!(error instanceof CommandError) || signal.aborted) throw error;
    complain(error.message);
    return EXIT.failed;
  }
}

/** Waits until no connection has been established for a while; answers the exit code. */
async function awaitEmpty(
  asked: AdminCommand,
  waitMs: number,
  ask: Found["ask"],
  { clock, signal, print, complain }: OperatorOptions,
): Promise<number> {
  const query = new URLSearchParams(
    "cluster" in asked
      ? { cluster: asked.cluster, target: asked.target }
      : "service" in asked && asked.service !== undefined
      ? { service: asked.service }
      : {},
  );
  const untilMs = clock.now() + waitMs;
  let emptySinceMs: number | undefined;
  for (;;) {
    const counts = await ask("GET", `/connections?${query}`).catch((error) => {
      // A host that is too busy to count may not be later.
      if (error instanceof CommandError && error.status === 504) return undefined;
      throw error;
    }) as Record<string, number> | undefined;
    const busy = Object.entries(counts ?? {}).filter(([, count]) => count > 0);
    const nowMs = clock.now();
    emptySinceMs = counts === undefined || busy.length > 0 ? undefined : emptySinceMs ?? nowMs;
    if (emptySinceMs !== undefined && nowMs - emptySinceMs >= EMPTY_MS) {
      print(`No established connections for ${formatDuration(EMPTY_MS)}`);
      return EXIT.ok;
    }
    if (nowMs >= untilMs) {
      for (const [name, count] of busy) {
        complain(`${name} still has ${counted(count, "established connection")}`);
      }
      complain(
        `Timed out after ${formatDuration(waitMs)} (--wait-timeout) waiting for ${
          formatDuration(EMPTY_MS)
        } without established connections`,
      );
      return EXIT.failed;
    }
    await delay(POLL_MS, { clock, signal });
  }
}

/** Finds the process that a command is for. */
async function find(
  given: OperatorArguments,
  { fromHere, signal }: OperatorOptions,
  { clients, roles }: {
    readonly clients: AsyncDisposableStack;
    /** Which processes can do it; any if absent. */
    readonly roles?: readonly Listing["role"][] | undefined;
  },
): Promise<Found> {
  const read = async (path: string | undefined) => {
    if (path === undefined) return undefined;
    try {
      return (await Deno.readTextFile(fromHere(path))).trim();
    } catch (error) {
      throw new CommandError(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`);
    }
  };
  const [token, ca] = [await read(given.tokenFile), await read(given.ca)];
  const tried: string[] = [];
  for (const at of given.admin === undefined ? STANDARD : [given.admin]) {
    const client = new HttpClient("path" in at ? { socket: at.path } : { tls: { ca } });
    clients.defer(() => client[Symbol.dispose]());
    const ask: Found["ask"] = async (method, path, body) => {
      const answer = await client.ask("path" in at ? { host: "localhost", port: 80 } : at, {
        method,
        path,
        body: body && JSON.stringify(body),
        headers: {
          ...body && { "content-type": "application/json" },
          ...token !== undefined && { authorization: `Bearer ${token}` },
        },
        bytesMax: ANSWER_BYTES_MAX,
        signal: AbortSignal.any([signal, AbortSignal.timeout(given.timeoutMs)]),
      });
      return valueOf(answer, at);
    };
    let listing: Listing;
    try {
      listing = await ask("GET", "/overrides") as Listing;
    } catch (error) {
      if (error instanceof CommandError) throw error;
      signal.throwIfAborted();
      tried.push(`${formatStatusAddress(at)}: ${reasonOf(error)}`);
      continue;
    }
    if (given.admin === undefined && roles?.includes(listing.role) === false) {
      tried.push(`${formatStatusAddress(at)}: a ${listing.role}`);
      continue;
    }
    await requireSameDir(at, listing, given.dir);
    return { at, listing, ask };
  }
  const where = given.admin === undefined ? ", or set its address with --admin ADDRESS" : "";
  const role = roles?.[0] ?? "writer";
  throw new CommandError(
    `No admin interface responds (${tried.join("; ")}); start the ${role} with --admin ${
      formatStatusAddress(given.admin ?? { path: `/run/lighthouse/${role}.sock` })
    }${where}`,
  );
}

/** Throws if a socket of this machine is that of a process with another config. */
async function requireSameDir(at: StatusAddress, { dir, role }: Listing, asked: string): Promise<void> {
  if (!("path" in at)) return;
  const real = (path: string) => Deno.realPath(path).catch(() => path);
  const [theirs, ours] = [await real(dir), await real(asked)];
  if (theirs === ours) return;
  throw new CommandError(
    `Cannot use the ${role} at ${formatStatusAddress(at)}: config directory is ${theirs}, not ${ours}`,
  );
}

function valueOf({ status, text }: { readonly status: number; readonly text: string }, at: StatusAddress): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CommandError(`No admin interface at ${formatStatusAddress(at)}: HTTP status ${status}`);
  }
  if (status === 200 && isRecord(value)) return value;
  const error = isRecord(value) ? value.error : undefined;
  throw new CommandError(
    typeof error === "string" ? error : `${formatStatusAddress(at)} responded with status ${status}`,
    { status },
  );
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such socket";
  if (error instanceof Deno.errors.ConnectionRefused) return "connection refused";
  if (error instanceof Deno.errors.PermissionDenied) {
    return "permission denied; run this command as the user of the process";
  }
  return error instanceof Error ? error.message : String(error);
}

/** A line for each override, pause and drain. Pure. */
function* linesOf({ overrides, pauses, local }: Listing): Generator<string> {
  for (const each of overrides) {
    yield `${each.cluster}/${each.target}  ${each.override}  ${describe(each)}`;
  }
  for (const each of pauses) yield `${each.balancer ?? "all balancers"}  pause  ${describe(each)}`;
  for (const each of local) yield `${each.service ?? "all services"} of this host  ${each.how}  ${describe(each)}`;
}

function describe({ author, reason, until, leftSeconds }: ListedOrder): string {
  const left = leftSeconds === null ? "" : ` (${formatDuration(leftSeconds * 1_000)} left)`;
  return `${until === null ? "until revoked" : `until ${until}${left}`}  ${author}${
    reason === null ? "" : `: ${reason}`
  }`;
}

/** Who runs this process, as `/etc/passwd` knows them; under sudo whoever called that. */
export async function userName(): Promise<string> {
  const uid = Deno.uid();
  const asked = Deno.env.get("SUDO_USER");
  if (uid === 0 && asked !== undefined && asked !== "") return asked;
  const users = await Deno.readTextFile("/etc/passwd").catch(() => "");
  const line = users.split("\n").map((line) => line.split(":")).find((fields) => fields[2] === String(uid));
  return line?.[0] ?? `uid ${uid}`;
}
