import { readBodyText } from "../http/body_text.ts";
import { connectionsFor, HTTP_LIMITS } from "../http/limits.ts";
import { listenAt } from "../http/listening.ts";
import type { HttpAnswer, HttpRequest } from "../http/request.ts";
import { HttpServer } from "../http/server.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { formatStatusAddress, type StatusAddress } from "../model/status_address.ts";
import type { Addition } from "../model/addition.ts";
import type { Additions } from "./additions.ts";
import { asAurproxySource, aurproxyPath, readAurproxySource } from "./aurproxy_source.ts";

export interface LifecycleServerOptions {
  readonly address: StatusAddress;
  /** Why the process does not do its work; `undefined` if it does. */
  readonly whyFailing: () => string | undefined;
  /** Ends the process in order. */
  readonly quit: () => void;
  /** What may be added to clusters; a process that reads none has none. */
  readonly additions?: (Additions & { readonly all: readonly Addition[] }) | undefined;
  readonly clock: Clock;
  readonly wallNow: () => number;
  readonly log: Logger;
  readonly openFilesMax: number | undefined;
}

/** How long requests may go on once the process ends: the answer to what ended it is one of them. */
const GRACE_MS = 1_000;
const CONNECTIONS = { share: 1 / 64, most: 32 } as const;
const BODY_BYTES_MAX = 16 * 1024;

/** The paths by which Aurora's executor ends a task. */
const QUIT: readonly string[] = ["/quitquitquit", "/abortabortabort"];

/**
 * Serves what a scheduler such as Aurora asks of a task, in aurproxy's paths and
 * answers: whether it is healthy, to end, and sources to add. Whoever reaches the
 * address may do so.
 */
export async function serveLifecycle(options: LifecycleServerOptions): Promise<AsyncDisposable> {
  const { address, clock, log, openFilesMax } = options;
  await using resources = new AsyncDisposableStack();
  const listening = resources.use(
    await listenAt(address).catch((error) => {
      const { cause } = error as Error;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot serve the lifecycle interface at ${formatStatusAddress(address)}: ${why}`, {
        cause: error,
      });
    }),
  );
  const at = formatStatusAddress(listening.address);
  resources.use(
    new HttpServer({
      listener: listening.listener,
      at: "path" in address ? "localhost" : at,
      handle: (request) => answer(request, options),
      limits: { ...HTTP_LIMITS, connectionsMax: connectionsFor(openFilesMax, CONNECTIONS) },
      clock,
      log,
      graceMs: GRACE_MS,
    }),
  );
  log.info("Serving the lifecycle interface", { event: "lifecycle.listening", at });
  return resources.move();
}

async function answer(request: HttpRequest, options: LifecycleServerOptions): Promise<HttpAnswer> {
  const { method, url } = request;
  const path = url.slice(url.indexOf("/", url.indexOf("//") + 2)).replace(/[?#].*$/s, "");
  if (path === "/health" && (method === "GET" || method === "HEAD")) {
    const why = options.whyFailing();
    // The status is 200 either way: a scheduler reads the body, and does not end the task.
    return text(200, why === undefined ? "OK" : `Health checks failed: ${why}`);
  }
  if (QUIT.includes(path)) {
    if (method !== "POST") return text(405, `Cannot ${method} ${path}: only POST is supported`, [["allow", "POST"]]);
    options.log.info("Shutdown requested over the lifecycle interface", { event: "lifecycle.quit", path });
    options.quit();
    return text(200, "OK");
  }
  const about = aurproxyPath(path);
  const { additions } = options;
  if (about === undefined || additions === undefined) {
    return text(
      404,
      `Cannot find ${path}: known paths are /health, ${QUIT.join(", ")} and /api/source/CLUSTER/source/NAME/`,
    );
  }
  return await answerSource(request, about, { ...options, additions });
}

async function answerSource(
  request: HttpRequest,
  { cluster, name }: NonNullable<ReturnType<typeof aurproxyPath>>,
  { additions, wallNow }: LifecycleServerOptions & {
    readonly additions: NonNullable<LifecycleServerOptions["additions"]>;
  },
): Promise<HttpAnswer> {
  const { method } = request;
  const known = additions.get({ cluster, kind: "nodes" });
  if (known.status !== 200) return json(known.status, known.said);
  const all = additions.all.filter((each) => each.cluster === cluster);
  if (name === undefined) {
    if (method !== "GET") {
      return text(405, `Cannot ${method} the sources of ${cluster}: only GET is supported`, [["allow", "GET"]]);
    }
    return json(200, { sources: all.map((each) => each.name) });
  }
  const found = all.find((each) => each.name === name);
  const missing = () => text(404, `Source ${name} doesn't exist`);
  switch (method) {
    case "GET":
      return found === undefined ? missing() : json(200, asAurproxySource(found));
    case "DELETE": {
      if (found === undefined) return missing();
      const { status, said } = await additions.remove({ ...found });
      return said === undefined ? text(status, "") : json(status, said);
    }
    case "PUT": {
      const body = await readBodyText(request, BODY_BYTES_MAX);
      if (!body.ok) return text(body.status, body.reason);
      const addition = readAurproxySource({ cluster, name }, parse(body.text), wallNow());
      if (typeof addition === "string") return text(400, addition);
      const { status, said } = await additions.put(addition);
      if (status > 201) return json(status, said);
      // A source of another kind with the name is another addition, and this one takes its place: not before it is accepted.
      const replaced = all.find((each) => each.name === name && each.kind !== addition.kind);
      const removed = replaced && await additions.remove({ ...replaced });
      if (removed !== undefined && ![204, 404].includes(removed.status)) return json(removed.status, removed.said);
      return json(status, asAurproxySource(addition));
    }
    default:
      return text(405, `Cannot ${method} source ${name}: supported methods are GET, PUT and DELETE`, [[
        "allow",
        "GET, PUT, DELETE",
      ]]);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function text(status: number, body: string, headers: HttpAnswer["headers"] = []): HttpAnswer {
  return {
    status,
    headers: [["content-type", "text/plain; charset=utf-8"], ["cache-control", "no-store"], ...headers],
    body,
  };
}

function json(status: number, said: unknown): HttpAnswer {
  return {
    status,
    headers: [["content-type", "application/json"], ["cache-control", "no-store"]],
    body: `${JSON.stringify(said)}\n`,
  };
}
