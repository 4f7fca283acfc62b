import type { Endpoint } from "../../../mod.ts";
import {
  type ClientTls,
  type HttpAnswer,
  HttpClient,
  type HttpLines,
  type HttpRequest,
} from "../../../src/http/client.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { quote } from "../../../src/model/node.ts";

export interface EndpointsOptions {
  /** The members of one cluster. */
  readonly endpoints: readonly Endpoint[];
  /** Reads the TLS files, again for each visit, so that certificates may be replaced; no TLS if absent. */
  readonly tls?: (() => Promise<ClientTls>) | undefined;
  /** How long an endpoint has to answer. */
  readonly answerMs: number;
  readonly clock: Clock;
  /** Called with the date of each answer, if it has one. */
  readonly onDate: (date: string | undefined) => void;
  /** Called with each answer, and when no endpoint answers: why. */
  readonly onReach: (fault: string | undefined) => void;
  /** Called with the new endpoint and the reason when the endpoint changes. */
  readonly onMove: (endpoint: Endpoint, reason: string) => void;
}

/** One request to whichever endpoint answers. */
export interface EndpointRequest extends Pick<HttpRequest, "method" | "path" | "body" | "headers" | "signal"> {
  /** How long it may take, if not as long as any answer. */
  readonly answerMs?: number | undefined;
}

/** An answer without an end. */
export interface Followed extends HttpLines {
  /**
   * Leaves the endpoint that it comes from, if that is still the current one, with all requests in flight
   * there.
   */
  readonly leave: (reason: string) => void;
}

/** Raised when a server understood the request and rejected it: another endpoint would answer the same. */
export class RefusedError extends Error {
  override name = "RefusedError";
  /** The error code: gRPC's, or that of version 2. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** The size limit of an answer, or of a line of one. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Beside the stream of the watches one connection stays open: a fleet keeps two for each host, not one for
 * each range that was read at the start.
 */
const KEPT_MAX = 1;

/** A stay at one endpoint, with connections of its own. */
interface Visit {
  readonly at: number;
  readonly endpoint: Endpoint;
  readonly client: Promise<HttpClient>;
  /** Aborted when it ends. */
  readonly left: AbortController;
}

/** The members of one etcd cluster, one of which is used while it answers. */
export class Endpoints implements Disposable {
  readonly #options: EndpointsOptions;
  #visit: Visit;

  constructor(options: EndpointsOptions) {
    this.#options = options;
    this.#visit = this.#begin(0);
  }

  /** The endpoint in use. */
  get current(): Endpoint {
    return this.#visit.endpoint;
  }

  /**
   * Asks the current endpoint, and if it does not answer, cannot serve, or gives an answer that `read` cannot
   * read, the others in turn. Throws a {@linkcode RefusedError} of `read` at once, and an error that names
   * each fault if no endpoint answers.
   */
  async ask<T>(request: EndpointRequest, read: (answer: HttpAnswer) => T): Promise<T> {
    const { endpoints, onDate, onReach } = this.#options;
    const faults: string[] = [];
    let left: Error | undefined;
    for (let tries = 0; tries < endpoints.length; tries++) {
      const visit = this.#visit;
      try {
        const answer = await this.#at(visit, request, (client, address, asked) => client.ask(address, asked));
        if (answer.status >= 500) throw new Error(`HTTP ${answer.status} ${describe(answer.text)}`.trimEnd());
        onDate(answer.headers.date);
        const result = read(answer);
        onReach(undefined);
        return result;
      } catch (error) {
        if (error instanceof RefusedError) {
          onReach(undefined);
          throw error;
        }
        request.signal.throwIfAborted();
        if (visit.left.signal.aborted) {
          // The code that left it has reported why.
          left = visit.left.signal.reason;
          continue;
        }
        faults.push(`${visit.endpoint}: ${error instanceof Error ? error.message : String(error)}`);
        this.#leave(visit, faults.at(-1) ?? "");
      }
    }
    const fault = faults.join("; ") || left?.message;
    if (faults.length > 0) onReach(fault);
    throw new Error(`Cannot reach etcd: ${fault}`);
  }

  /**
   * Asks the current endpoint for an answer without an end; leaving the endpoint ends it. Throws if it does
   * not start.
   */
  async follow(request: EndpointRequest): Promise<Followed> {
    const visit = this.#visit;
    try {
      const { left } = visit;
      const signal = AbortSignal.any([request.signal, left.signal]);
      const answer = await this.#at(visit, request, async (client, address, { signal: soon, ...asked }) => {
        const begun = new AbortController();
        const stop = () => begun.abort(soon.reason);
        soon.addEventListener("abort", stop, { once: true });
        try {
          return await client.follow(address, { ...asked, signal: AbortSignal.any([signal, begun.signal]) });
        } finally {
          soon.removeEventListener("abort", stop);
        }
      });
      return { ...answer, leave: (reason) => this.#leave(visit, `${visit.endpoint}: ${reason}`) };
    } catch (error) {
      request.signal.throwIfAborted();
      this.#leave(visit, `${visit.endpoint}: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#end(this.#visit, "The session is closed");
  }

  #begin(at: number): Visit {
    const { endpoints, tls } = this.#options;
    const client = (async () => new HttpClient({ tls: await tls?.(), keptMax: KEPT_MAX }))();
    client.catch(() => {});
    return { at, endpoint: endpoints[at] ?? "", client, left: new AbortController() };
  }

  #leave(visit: Visit, reason: string): void {
    if (this.#visit !== visit) return;
    this.#visit = this.#begin((visit.at + 1) % this.#options.endpoints.length);
    this.#end(visit, reason);
    if (this.#visit.at !== visit.at) this.#options.onMove(this.current, reason);
  }

  #end({ left, client }: Visit, reason: string): void {
    left.abort(new Error(reason));
    client.then((each) => each[Symbol.dispose](), () => {});
  }

  async #at<T>(
    { endpoint, client, left }: Visit,
    { answerMs = this.#options.answerMs, signal, ...request }: EndpointRequest,
    ask: (client: HttpClient, address: { host: string; port: number }, asked: HttpRequest) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#options;
    const address = parseEndpoint(endpoint);
    if (address === undefined) throw new TypeError(`Cannot query ${quote(endpoint)}: must be host:port`);
    const overdue = new AbortController();
    const cancel = clock.after(answerMs, () => {
      overdue.abort(new Error(`no response within ${Math.round(answerMs)}ms`));
    });
    try {
      const either = AbortSignal.any([signal, left.signal, overdue.signal]);
      return await ask(await client, address, { ...request, bytesMax: ANSWER_BYTES_MAX, signal: either });
    } finally {
      cancel();
    }
  }
}

/** The start of a server's error message. */
function describe(text: string): string {
  try {
    const { message, error } = JSON.parse(text) ?? {};
    const said = [message, error].find((each) => typeof each === "string");
    if (said !== undefined) return said.slice(0, 200);
  } catch {
    // It is not JSON.
  }
  return text.trim() === "" ? "" : quote(text.trim());
}
