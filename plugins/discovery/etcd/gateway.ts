import type { PluginLog } from "../../../mod.ts";
import type { HttpAnswer } from "../../../src/http/client.ts";
import { type Endpoints, type Followed, RefusedError } from "./endpoints.ts";
import { MalformedAnswerError, readError, readWatchLine, type WatchLine } from "./messages.ts";

/** The user to authenticate as. */
export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** How a request is made. */
export interface CallOptions<T> {
  readonly signal: AbortSignal;
  /** How long one endpoint has to answer, if not as long as any. */
  readonly answerMs?: number | undefined;
  /** Interprets the answer. */
  readonly read: (answer: unknown) => T;
}

/** The gRPC codes that matter here. */
export const CODE = {
  invalid: 3,
  notFound: 5,
  denied: 7,
  precondition: 9,
  unauthenticated: 16,
} as const;

/**
 * etcd's HTTP server discards the rest of a request when it starts to answer, so that watches of a long
 * request would be lost; it does not where the connection ends with the answer.
 */
const READ_TO_THE_END = { connection: "close" } as const;
/** Without it a member that has lost its leader would stay silent. */
const HAS_LEADER = { "grpc-metadata-hasleader": "true" } as const;

/** etcd's API 3, as JSON over HTTP. */
export class Gateway {
  readonly #endpoints: Endpoints;
  readonly #credential: Credential | undefined;
  readonly #log: PluginLog;
  /** The token to send: empty if etcd asks for none, `undefined` before the first request for one. */
  #token: Promise<string> | undefined;

  constructor(endpoints: Endpoints, { credential, log }: { credential?: Credential | undefined; log: PluginLog }) {
    [this.#endpoints, this.#credential, this.#log] = [endpoints, credential, log];
  }

  /**
   * Makes one request; an expired token is renewed once.
   *
   * @throws {RefusedError} if etcd rejects it
   */
  async call<T>(path: string, body: unknown, options: CallOptions<T>): Promise<T> {
    const { signal } = options;
    const token = await this.#authorization(signal);
    try {
      return await this.#post(path, body, { ...options, token });
    } catch (error) {
      if (this.#credential === undefined || !isAboutToken(error)) throw error;
      this.#token = undefined;
      return await this.#post(path, body, { ...options, token: await this.#authorization(signal) });
    }
  }

  /**
   * Opens one stream of watches, each a `create_request`; its lines throw when it breaks, and end when the
   * server ends it.
   */
  async watch(
    requests: readonly unknown[],
    signal: AbortSignal,
  ): Promise<Pick<Followed, "leave"> & { readonly lines: AsyncGenerator<WatchLine, void, void> }> {
    const token = await this.#authorization(signal);
    const body = requests.map((request) => JSON.stringify({ create_request: request })).join("\n");
    const { leave, status, lines } = await this.#endpoints.follow({
      method: "POST",
      path: "/v3/watch",
      body,
      headers: { ...headersOf(token), ...READ_TO_THE_END },
      signal,
    });
    async function* read(): AsyncGenerator<WatchLine, void, void> {
      for await (const line of lines) {
        if (status === 200) yield readWatchLine(line);
        else throw refusalOf(status, line);
      }
    }
    return { leave, lines: read() };
  }

  #authorization(signal: AbortSignal): Promise<string> {
    if (this.#credential === undefined) return Promise.resolve("");
    const token = this.#token ??= this.#authenticate(this.#credential, signal);
    token.catch(() => {
      if (this.#token === token) this.#token = undefined;
    });
    return token;
  }

  async #authenticate({ username, password }: Credential, signal: AbortSignal): Promise<string> {
    try {
      return await this.#post("/v3/auth/authenticate", { name: username, password }, {
        token: "",
        signal,
        read: (answer) => {
          const { token } = (answer ?? {}) as { token?: unknown };
          if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
            throw new MalformedAnswerError("The etcd authentication response contains no token");
          }
          return token;
        },
      });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      if (error.code !== CODE.precondition) {
        throw new RefusedError(error.code, `Cannot authenticate to etcd as ${username}: ${error.message}`);
      }
      this.#log.info("etcd authentication disabled; continuing without a token", {
        event: "discovery.auth_disabled",
        reason: error.message,
      });
      return "";
    }
  }

  async #post<T>(
    path: string,
    body: unknown,
    { token, signal, answerMs, read }: CallOptions<T> & { readonly token: string },
  ): Promise<T> {
    const request = {
      method: "POST",
      path,
      body: JSON.stringify(body),
      headers: headersOf(token),
      answerMs,
      signal,
    } as const;
    return await this.#endpoints.ask(request, (answer) => read(jsonOf(path, answer)));
  }
}

function headersOf(token: string): Readonly<Record<string, string>> {
  return { "content-type": "application/json", ...HAS_LEADER, ...(token !== "" && { authorization: token }) };
}

/** Whether another token may help: the last one was forgotten, or none was needed when it was requested. */
function isAboutToken(error: unknown): boolean {
  return error instanceof RefusedError &&
    (error.code === CODE.unauthenticated || error.code === CODE.invalid && /user name is empty/.test(error.message));
}

function jsonOf(path: string, { status, text }: HttpAnswer): unknown {
  if (status !== 200) throw refusalOf(status, text, path);
  try {
    return JSON.parse(text);
  } catch {
    throw new MalformedAnswerError("Invalid response from etcd: must be JSON");
  }
}

/** The error of an answer with a status other than 200: etcd's, or another server's. */
function refusalOf(status: number, text: string, path = "/v3/watch"): Error {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // It is not etcd's.
  }
  const { code, message } = readError(value);
  if (code >= 0) return new RefusedError(code, message || `HTTP ${status}`);
  return new MalformedAnswerError(
    status === 404
      ? `HTTP 404 for ${path}; etcd 3.4 or later with the JSON gateway enabled is required`
      : `HTTP ${status} for ${path}; the response body is not an etcd error`,
  );
}
