import { systemClock } from "../kernel/clock.ts";
import { connectionsFor, HTTP_LIMITS, type HttpLimits } from "../http/limits.ts";
import { listenAt } from "../http/listening.ts";
import type { HttpAnswer, HttpRequest } from "../http/request.ts";
import { HttpServer } from "../http/server.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Exposition } from "../metrics/exposition.ts";
import { isLocalHost, isLoopback } from "../model/bind_address.ts";
import { formatStatusAddress, type StatusAddress } from "../model/status_address.ts";

/** What is said of how the process stands. */
export interface StatusAnswers {
  /** The whole status, as JSON. */
  status(): unknown;
  /** Whether it does its work, and what to say of that, as JSON. */
  health(): { readonly isFailing: boolean; readonly said: unknown };
  /** What was counted and how all stands, in the format that an `Accept` header asks for. */
  metrics(accept: string | null): Exposition;
}

export interface StatusServerOptions {
  readonly address: StatusAddress;
  readonly answers: StatusAnswers;
  readonly log: Logger;
  /** How many files the process may have open, if that is known. */
  readonly openFilesMax: number | undefined;
  /** How long clients have, if not as usual. */
  readonly limits?: Omit<HttpLimits, "connectionsMax"> | undefined;
}

/** How long requests may go on once the process ends. */
const GRACE_MS = 500;
/** Connections to the status take so small a part of the open files, since checks need the others. */
const CONNECTIONS = { share: 1 / 16, most: 256 } as const;

/**
 * Serves how the process stands over HTTP, to be read: `GET /status`,
 * `GET /health` and `GET /metrics`. It takes nothing in and changes nothing. Whoever reaches the
 * address may read it; a server of loopback rejects a foreign `Host`, so that
 * no web page can.
 */
export class StatusServer implements AsyncDisposable {
  /** Where it listens. */
  readonly address: StatusAddress;
  readonly #resources: AsyncDisposableStack;

  private constructor(address: StatusAddress, resources: AsyncDisposableStack) {
    [this.address, this.#resources] = [address, resources];
  }

  /** Listens. Throws an error that names the address if it is unavailable. */
  static async start(
    { address, answers, log, openFilesMax, limits = HTTP_LIMITS }: StatusServerOptions,
  ): Promise<StatusServer> {
    await using resources = new AsyncDisposableStack();
    const listening = resources.use(
      await listenAt(address).catch((error) => {
        const { cause } = error as Error;
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`Cannot serve status at ${formatStatusAddress(address)}: ${why}`);
      }),
    );
    const checksHost = !("path" in address) && isLoopback(address.host);
    const at = formatStatusAddress(listening.address);
    resources.use(
      new HttpServer({
        listener: listening.listener,
        at: "path" in address ? "localhost" : at,
        handle: (request) => answer(request, { answers, checksHost, log }),
        limits: { ...limits, connectionsMax: connectionsFor(openFilesMax, CONNECTIONS) },
        clock: systemClock,
        log,
        graceMs: GRACE_MS,
      }),
    );
    return new StatusServer(listening.address, resources.move());
  }

  /** Ends, and takes its socket file with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

function answer(
  request: HttpRequest,
  { answers, checksHost, log }: {
    readonly answers: StatusAnswers;
    readonly checksHost: boolean;
    readonly log: Logger;
  },
): HttpAnswer {
  const { method, url } = request;
  const respond = (status: number, said: unknown, headers: HttpAnswer["headers"] = []) => ({
    status,
    headers: [["content-type", "application/json"], ["cache-control", "no-store"], ...headers] as const,
    body: `${JSON.stringify(said, null, 2)}\n`,
  });
  const refuse = (status: number, error: string, headers?: HttpAnswer["headers"]) =>
    respond(status, { error }, headers);

  const start = url.indexOf("/", url.indexOf("//") + 2);
  const host = url.slice(url.indexOf("//") + 2, start);
  if (checksHost && !isLocalHost(host)) {
    return refuse(421, "Cannot use the Host header: must be localhost or a loopback address");
  }
  if (method !== "GET" && method !== "HEAD") {
    return refuse(405, `Cannot ${method}: supported methods are GET and HEAD`, [["allow", "GET, HEAD"]]);
  }
  try {
    const path = url.slice(start).replace(/[?#].*$/s, "");
    switch (path) {
      case "/status":
        return respond(200, answers.status());
      case "/health": {
        const { isFailing, said } = answers.health();
        return respond(isFailing ? 503 : 200, said);
      }
      case "/metrics": {
        const { contentType, body } = answers.metrics(request.headers.get("accept"));
        return { status: 200, headers: [["content-type", contentType], ["cache-control", "no-store"]], body };
      }
      default:
        return refuse(404, `Cannot find ${path}: known paths are /status, /health and /metrics`);
    }
  } catch (error) {
    log.error("Status request failed", {
      event: "status.failed",
      reason: error instanceof Error ? error.stack : String(error),
    });
    return refuse(500, "Internal error");
  }
}
