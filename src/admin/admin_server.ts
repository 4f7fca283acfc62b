import { readBodyText } from "../http/body_text.ts";
import { connectionsFor, HTTP_LIMITS, type HttpLimits } from "../http/limits.ts";
import { listenAt } from "../http/listening.ts";
import type { HttpAnswer, HttpRequest } from "../http/request.ts";
import { HttpServer } from "../http/server.ts";
import { type TlsPem, tryCertificates } from "../http/tls.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { formatStatusAddress, type StatusAddress } from "../model/status_address.ts";
import { readTrusted } from "../system/trusted_file.ts";
import { type Additions, additionsPath, type AdditionsResult, readAddition } from "./additions.ts";
import { ADMIN_VERBS, isVerb, parseCommand, parseConnectionsQuery } from "./command.ts";
import type { Explained } from "./explained.ts";
import { listingOf } from "./listing.ts";
import type { Operator } from "./operator.ts";
import { type AdminTokens, type Bearer, parseAdminTokens } from "./tokens.ts";

/** Where an admin interface is served, and by which files. */
export interface AdminPlace {
  readonly address: StatusAddress;
  /** The file of the bearer tokens; without one a socket lets in whoever may open it. */
  readonly tokensFile?: string | undefined;
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

export interface AdminServerOptions extends AdminPlace {
  readonly operator: Operator;
  /** What others may add to clusters; a process that reads none has none. */
  readonly additions?: Additions | undefined;
  /** Says where each node comes from, and what it gets and why. */
  readonly explain?: (() => Promise<Explained>) | undefined;
  /** Says how the process stands, and whether it does its work. */
  readonly standing?: (() => Promise<{ readonly status: unknown; readonly health: unknown }>) | undefined;
  readonly clock: Clock;
  /** The time of day in milliseconds. */
  readonly wallNow: () => number;
  readonly log: Logger;
  /** How many files the process may have open, if that is known. */
  readonly openFilesMax: number | undefined;
  /** How long clients have, if not as usual. */
  readonly limits?: Omit<HttpLimits, "connectionsMax"> | undefined;
}

/** How long requests may go on once the process ends. */
const GRACE_MS = 1_000;
/** A few operators at a time, and no more. */
const CONNECTIONS = { share: 1 / 64, most: 32 } as const;
/** A command is a few hundred bytes. */
const BODY_BYTES_MAX = 16 * 1024;

/** What is read from files, and read again when asked. */
interface Secrets {
  readonly tokens: AdminTokens | undefined;
  readonly pem: TlsPem | undefined;
}

/**
 * Serves what an operator may change, as JSON over HTTP: `GET /overrides` says
 * what holds, `POST /drain` and its like carry a command out. On a socket of mode
 * 0600 whoever may open it may do all; at a port TLS and a token are needed.
 */
export class AdminServer implements AsyncDisposable {
  /** Where it listens. */
  readonly address: StatusAddress;
  readonly #options: AdminServerOptions;
  readonly #resources: AsyncDisposableStack;
  readonly #server: HttpServer;
  readonly #secrets: { now: Secrets };

  private constructor(
    { address, options, server, secrets }: {
      readonly address: StatusAddress;
      readonly options: AdminServerOptions;
      readonly server: HttpServer;
      readonly secrets: { now: Secrets };
    },
    resources: AsyncDisposableStack,
  ) {
    [this.address, this.#options, this.#server] = [address, options, server];
    [this.#secrets, this.#resources] = [secrets, resources];
  }

  /** Listens. Throws an error that names the address, or the file, if that cannot be. */
  static async start(options: AdminServerOptions): Promise<AdminServer> {
    const { address, tokensFile, tls, clock, log, limits = HTTP_LIMITS, openFilesMax } = options;
    const where = formatStatusAddress(address);
    if (!("path" in address) && (tokensFile === undefined || tls === undefined)) {
      throw new Error(
        `Cannot serve the admin interface at ${where}: a port requires --admin-tls-cert, --admin-tls-key and ` +
          "--admin-tokens; a unix socket requires none of these: --admin unix:/run/lighthouse/writer.sock",
      );
    }
    const secrets = { now: await readSecrets(options) };
    await using resources = new AsyncDisposableStack();
    const listening = resources.use(
      await listenAt(address).catch((error) => {
        const { cause } = error as Error;
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`Cannot serve the admin interface at ${where}: ${why}`, { cause: error });
      }),
    );
    const server = resources.use(
      new HttpServer({
        listener: listening.listener,
        at: "path" in address ? "localhost" : formatStatusAddress(listening.address),
        handle: (request) => answer(request, { ...options, tokens: secrets.now.tokens }),
        limits: { ...limits, connectionsMax: connectionsFor(openFilesMax, CONNECTIONS) },
        tls: secrets.now.pem,
        clock,
        log,
        graceMs: GRACE_MS,
      }),
    );
    log.info("Serving the admin interface", {
      event: "admin.listening",
      at: formatStatusAddress(listening.address),
    });
    return new AdminServer({ address: listening.address, options, server, secrets }, resources.move());
  }

  /** Reads tokens and certificates again. What cannot be used is reported, and the last good ones stay. */
  async reload(): Promise<void> {
    const { tokensFile, tls, log } = this.#options;
    if (tokensFile === undefined && tls === undefined) return;
    try {
      const read = await readSecrets(this.#options);
      if (read.pem !== undefined) this.#server.useCertificates(read.pem);
      this.#secrets.now = read;
      log.info("Admin tokens and certificates reloaded", { event: "admin.secrets_reloaded" });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error("Cannot reload admin tokens and certificates; keeping the previous ones", {
        event: "admin.secrets_invalid",
        reason,
      });
    }
  }

  /** Ends, and removes its socket file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

async function readSecrets({ tokensFile, tls }: AdminPlace): Promise<Secrets> {
  const read = async (file: string) => {
    try {
      return await readTrusted(file);
    } catch (error) {
      throw new Error(`Cannot read ${file}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  };
  const tokens = tokensFile === undefined ? undefined : parseAdminTokens(await read(tokensFile), tokensFile);
  const pem = tls && { cert: await read(tls.cert), key: await read(tls.key) };
  if (pem !== undefined) tryCertificates(pem);
  return { tokens, pem };
}

type Serving = AdminServerOptions & { readonly tokens: AdminTokens | undefined };

/** Whoever may open a socket: nobody asks for a name. */
const ANYONE: Bearer & { readonly isNamed: boolean } = { name: "", mayWrite: true, isNamed: false };

async function answer(request: HttpRequest, serving: Serving): Promise<HttpAnswer> {
  const { method, url, headers } = request;
  const { log, tokens, operator } = serving;
  const bearer = tokens === undefined ? ANYONE : tokens.identify(headers.get("authorization"));
  if (bearer === undefined) {
    return reject(401, "Cannot authenticate: unknown or missing token; send Authorization: Bearer TOKEN", [[
      "www-authenticate",
      "Bearer",
    ]]);
  }
  const path = url.slice(url.indexOf("/", url.indexOf("//") + 2)).replace(/[?#].*$/s, "");
  const author = tokens === undefined ? undefined : bearer.name;
  if (path.startsWith("/v1/")) return await answerAdditions(request, { path, bearer, serving });
  if (method === "GET") {
    if (path === "/connections") {
      const query = parseConnectionsQuery(new URLSearchParams(/\?([^#]*)/.exec(url)?.[1] ?? ""));
      if (query === undefined) {
        return reject(400, "Cannot count connections: the query must have cluster and target, or service");
      }
      const counted = await operator.connections(query);
      return counted.ok ? respond(200, counted.connections) : reject(counted.status, counted.reason);
    }
    if (path === "/explain" && serving.explain !== undefined) return respond(200, await serving.explain());
    if (path === "/status" && serving.standing !== undefined) return respond(200, (await serving.standing()).status);
    if (path === "/health" && serving.standing !== undefined) return respond(200, (await serving.standing()).health);
    if (path !== "/overrides") {
      return reject(
        404,
        `Cannot find ${path}: known GET paths are /overrides, /explain, /status, /health and /connections`,
      );
    }
    return respond(200, listingOf(operator, serving.wallNow()));
  }
  if (method !== "POST") {
    return reject(405, `Cannot ${method} ${path}: supported methods are GET and POST`, [["allow", "GET, POST"]]);
  }
  const verb = path.slice(1);
  if (!isVerb(verb)) return reject(404, `Cannot find ${path}: known POST paths are /${ADMIN_VERBS.join(", /")}`);
  if (!bearer.mayWrite) {
    log.warn("Admin request denied", { event: "admin.denied", token: bearer.name, verb });
    return reject(403, `Cannot ${verb}: token ${bearer.name} has read-only access`);
  }
  // A web page can send a form, and nothing that says it is JSON.
  if (!/^application\/json\b/i.test(headers.get("content-type") ?? "")) {
    return reject(415, "Cannot read the request body: content-type must be application/json");
  }
  const body = await readBodyText(request, BODY_BYTES_MAX);
  if (!body.ok) return reject(body.status, body.reason);
  let json: unknown;
  try {
    json = JSON.parse(body.text);
  } catch {
    return reject(400, "Cannot read the request body: must be JSON");
  }
  const parsed = parseCommand(verb, json, author);
  if (!parsed.ok) return reject(400, parsed.reason);
  const result = await operator.carryOut(parsed.command, request.signal);
  return result.ok
    ? respond(200, { did: result.did, warnings: result.warnings })
    : reject(result.status, result.reason);
}

/** Serves what others add to clusters: `/v1/clusters/NAME/nodes/NODE` and `/v1/clusters/NAME/sources/SOURCE`. */
async function answerAdditions(
  request: HttpRequest,
  { path, bearer, serving }: { readonly path: string; readonly bearer: Bearer; readonly serving: Serving },
): Promise<HttpAnswer> {
  const { additions, log, wallNow } = serving;
  const { method, headers } = request;
  const about = additionsPath(path);
  if (about === undefined || additions === undefined) {
    return reject(
      404,
      `Cannot find ${path}: known paths are /v1/clusters/NAME/nodes/NODE and /v1/clusters/NAME/sources/SOURCE`,
    );
  }
  const { name } = about;
  if (method === "GET") return said(additions.get(about));
  if (name === undefined || (method !== "PUT" && method !== "DELETE")) {
    const allow = name === undefined ? "GET" : "GET, PUT, DELETE";
    return reject(405, `Cannot ${method} ${path}: supported methods are ${allow}`, [["allow", allow]]);
  }
  if (!bearer.mayWrite) {
    log.warn("Admin request denied", { event: "admin.denied", token: bearer.name, verb: method });
    return reject(403, `Cannot ${method}: token ${bearer.name} has read-only access`);
  }
  if (method === "DELETE") return said(await additions.remove({ ...about, name }));
  if (!/^application\/json\b/i.test(headers.get("content-type") ?? "")) {
    return reject(415, "Cannot read the request body: content-type must be application/json");
  }
  const body = await readBodyText(request, BODY_BYTES_MAX);
  if (!body.ok) return reject(body.status, body.reason);
  const json = parseJson(body.text);
  if (json === undefined) return reject(400, "Cannot read the request body: must be JSON");
  const addition = readAddition({ ...about, name }, json, wallNow());
  if (typeof addition === "string") return reject(400, addition);
  return said(await additions.put(addition));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function said({ status, said: value }: AdditionsResult): HttpAnswer {
  return value === undefined ? { status, headers: [["cache-control", "no-store"]], body: "" } : respond(status, value);
}

function respond(status: number, said: unknown, headers: HttpAnswer["headers"] = []): HttpAnswer {
  return {
    status,
    headers: [["content-type", "application/json"], ["cache-control", "no-store"], ...headers],
    body: `${JSON.stringify(said, null, 2)}\n`,
  };
}

function reject(status: number, error: string, headers?: HttpAnswer["headers"]): HttpAnswer {
  return respond(status, { error }, headers);
}
