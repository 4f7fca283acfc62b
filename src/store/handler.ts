import { formatDuration, parseDuration } from "../kernel/duration.ts";
import { quote } from "../kernel/quote.ts";
import type { Collector } from "../metrics/meter.ts";
import type { Tally } from "../metrics/tally.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { type BindAddress, isLocalHost, isLoopback } from "../model/bind_address.ts";
import type { HttpAnswer, HttpRequest } from "../http/request.ts";
import { bare, Encodings, etagOf, json, JSON_TYPE, refuse, say, valueAnswer } from "./answers.ts";
import { readBody } from "./body.ts";
import { COPY_ENVELOPE_BYTES, formatCopy, parseCopy } from "./copy_text.ts";
import { JsonError, parseJson } from "./json_text.ts";
import { readLeaseRequest } from "./lease_request.ts";
import type { Limits } from "./limits.ts";
import { Overview } from "./overview.ts";
import { formatPath, parsePath, type Path } from "./path.ts";
import { ReadyAnswers } from "./ready_answers.ts";
import { Refusal } from "./refusal.ts";
import { ANYONE, type Identity } from "./rights.ts";
import { addressesOf, type Copy } from "./snapshot.ts";
import type { Store } from "./store.ts";
import type { Tokens } from "./tokens.ts";
import { depthOf, type Tree, treeAt } from "./tree.ts";
import { parseVersion } from "./version.ts";
import { Watching } from "./watching.ts";

export interface HandlerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: Limits;
  /** Tokens and their rights; without them anyone may do anything. */
  readonly tokens: () => Tokens | undefined;
  /** The listening address. */
  readonly bind: BindAddress;
  /** The address that peers use for this instance. */
  readonly me: () => string;
  /** Identifies this run of the instance. */
  readonly id: string;
  /** The store's counters. */
  readonly tally: Tally;
  /** Exposes the metrics of the process and of the snapshots. */
  readonly project: (to: Collector) => void;
}

/** At most this many bytes of answers to the current version are cached. */
const READY_BYTES_MAX = 64 * 1024 * 1024;
/** Default and maximum timeout of a long poll. */
const WATCH_SECONDS = { usual: 30, max: 300 } as const;
const CODE_LENGTH_MAX = 256;
/**
 * Whether the answered version descends from the watched one; if not, the watched one has lost, or is
 * on another instance.
 */
const FOLLOWS = "lighthouse-follows";

/** One request. */
interface Asked {
  readonly request: HttpRequest;
  readonly method: string;
  /** The path without the endpoint's name. */
  readonly path: Path;
  readonly query: URLSearchParams;
  readonly identity: Identity;
}

/** The HTTP interface of a store. */
export class Handler implements Disposable {
  readonly #store: Store;
  readonly #options: HandlerOptions;
  readonly #watching: Watching;
  readonly #overview: Overview;
  readonly #encodings: Encodings = new Encodings();
  /** Answers of the current version by requested URL. */
  readonly #ready: ReadyAnswers = new ReadyAnswers(READY_BYTES_MAX);
  readonly #unwatch: () => void;
  readonly #checksHost: boolean;

  constructor(store: Store, options: HandlerOptions) {
    this.#store = store;
    this.#options = options;
    this.#watching = new Watching(store, { clock: options.clock, ...options.limits });
    this.#overview = new Overview(store, { ...options, watchers: () => this.#watching.count });
    for (const result of ["done", "conflict", "refused"]) {
      options.tally.count("lighthouse_store_commits_total", { result }, 0);
    }
    this.#unwatch = store.watch(() => {
      options.tally.count("lighthouse_store_versions_total", {});
      this.#ready.clear();
    });
    this.#checksHost = options.tokens() === undefined && isLoopback(options.bind.host);
  }

  /** Answers a request; never throws. A read is answered synchronously, unless it waits for a change. */
  handle(request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
    if (request.method === "GET" && this.#options.tokens() === undefined) {
      const ready = this.#ready.find(request.url);
      if (ready !== undefined && !isConditional(request.headers)) {
        this.#options.tally.count("lighthouse_store_reads_total", {});
        return ready;
      }
    }
    const fail = (error: unknown) => {
      this.#options.log.error("Request failed", {
        event: "store.request_failed",
        method: request.method,
        url: request.url,
        reason: error instanceof Error ? error.stack : String(error),
      });
      return refuse(new Refusal("Internal Server Error", "Internal error"));
    };
    try {
      const answer = this.#answer(request);
      return answer instanceof Promise ? answer.catch(fail) : answer;
    } catch (error) {
      return fail(error);
    }
  }

  [Symbol.dispose](): void {
    this.#unwatch();
    this.#watching[Symbol.dispose]();
  }

  #answer(request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
    const { url, method } = request;
    const start = url.indexOf("/", "https://".length);
    const host = url.slice(url.indexOf("//") + 2, start);
    if (this.#checksHost && !isLocalHost(host) && host !== this.#options.me()) {
      return refuse(
        new Refusal(
          "Misdirected Request",
          `Cannot serve the Host header ${quote(host)}: must be localhost or this instance's address`,
        ),
      );
    }
    const mark = url.indexOf("?");
    const path = parsePath(url.slice(start, mark === -1 ? undefined : mark));
    if (path === undefined) {
      return refuse(new Refusal("Bad Request", "Invalid path: invalid percent-encoding (%XX)"));
    }
    const tokens = this.#options.tokens();
    const identity = tokens === undefined ? ANYONE : tokens.identify(request.headers.get("authorization"));
    if (identity === undefined) {
      return refuse(
        new Refusal("Unauthorized", "Cannot authenticate: unknown or missing token; send Authorization: Bearer TOKEN"),
        { asksPeople: wantsPage(request.headers) },
      );
    }
    const [endpoint, ...rest] = path;
    const query = new URLSearchParams(mark === -1 ? "" : url.slice(mark + 1));
    const asked = { request, method: method === "HEAD" ? "GET" : method, path: rest, query, identity };
    if (!["GET", "PUT", "DELETE"].includes(asked.method)) {
      return refuse(
        new Refusal("Method Not Allowed", `Cannot ${method}: supported methods are GET, HEAD, PUT and DELETE`),
      );
    }
    switch (endpoint) {
      case undefined:
        return this.#root(asked);
      case "data":
        return this.#data(asked);
      case "lock":
        return this.#lock(asked);
      case "update":
        return this.#update(asked);
      case "lease":
        return this.#lease(asked);
      case "copy":
        return this.#copy(asked);
      case "state":
        return this.#stateOf(asked);
      case "metrics":
        if (asked.method === "GET" && rest.length === 0) return this.#overview.metrics(request.headers.get("accept"));
        break;
      case "version":
        if (asked.method === "GET" && rest.length === 0) {
          const { version } = this.#store.copy;
          return json({ checksum: version.checksum, sequence: version.sequence }, { version });
        }
    }
    return refuse(new Refusal("Not Found", `Cannot find ${formatPath(path)}`));
  }

  #root({ request: { headers }, method, query, identity }: Asked): HttpAnswer {
    if (method !== "GET") return refuse(forbidden("change /"));
    if (!wantsPage(headers)) return this.#overview.state();
    return this.#overview.page(identity, parsePath(query.get("path") ?? "") ?? []);
  }

  #data({ request, method, path, query, identity }: Asked): HttpAnswer | Promise<HttpAnswer> {
    const unavailable = this.#store.refuseUnavailable();
    if (unavailable !== undefined) return refuse(unavailable);
    if (!identity.mayRead(path)) return refuse(forbidden(`read ${formatPath(path)}`));
    if (method !== "GET") {
      return treeAt(this.#store.copy.data, path) === undefined
        ? this.#missing(path, this.#store.copy)
        : refuse(new Refusal("Forbidden", "Cannot change /data directly; acquire /lock, then use /update"));
    }
    const { headers } = request;
    if (headers.get("accept")?.includes("text/event-stream")) {
      const tooMany = this.#watching.refuseTooMany(identity.name);
      const since = parseVersion(headers.get("last-event-id") ?? query.get("watch") ?? "");
      return tooMany === undefined ? this.#watching.stream(path, since, identity.name) : refuse(tooMany);
    }
    const watch = query.get("watch");
    if (watch !== null) {
      return this.#watch(path, watch, { query, signal: request.signal, holder: identity.name });
    }
    const { copy } = this.#store;
    const value = treeAt(copy.data, path);
    if (isKnown(headers.get("if-none-match"), { etag: etagOf(copy.version), exists: value !== undefined })) {
      return bare(304, [["etag", etagOf(copy.version)]]);
    }
    if (value === undefined) return this.#missing(path, copy);
    this.#options.tally.count("lighthouse_store_reads_total", {});
    const answer = valueAnswer(this.#encodings.of(value), copy.version);
    if (this.#options.tokens() === undefined) this.#ready.keep(request.url, answer);
    return answer;
  }

  async #watch(path: Path, watch: string, { query, signal, holder }: {
    readonly holder: string | undefined;
    readonly query: URLSearchParams;
    readonly signal: AbortSignal;
  }): Promise<HttpAnswer> {
    const since = parseVersion(watch);
    const timeoutMs = parseDuration(query.get("timeout") ?? `${WATCH_SECONDS.usual}s`) ?? NaN;
    if (since === undefined || !(timeoutMs > 0 && timeoutMs <= WATCH_SECONDS.max * 1_000)) {
      return refuse(
        new Refusal(
          "Bad Request",
          since === undefined
            ? `Cannot watch from version ${quote(watch)}: must be an ETag of the store, or its sequence number`
            : `Cannot use timeout ${quote(query.get("timeout"))}: must be a duration above 0 and at most ` +
              `${formatDuration(WATCH_SECONDS.max * 1_000)}, such as 2s or 500ms, or a number of seconds`,
        ),
      );
    }
    const tooMany = this.#watching.refuseTooMany(holder);
    if (tooMany !== undefined) return refuse(tooMany);
    const copy = await this.#watching.next(path, since, { timeoutMs, signal, holder });
    const value = copy && treeAt(copy.data, path);
    const answer = copy === undefined
      ? bare(304, [["etag", etagOf(this.#store.copy.version)]])
      : value === undefined
      ? this.#missing(path, copy)
      : valueAnswer(this.#encodings.of(value), copy.version);
    const { checksum, sequence } = since;
    if (checksum === undefined) return answer;
    const follows = String(this.#store.follows({ checksum, sequence }));
    return { ...answer, headers: [...answer.headers, [FOLLOWS, follows]] };
  }

  async #lock({ request, method, path, identity }: Asked): Promise<HttpAnswer> {
    const store = this.#store;
    const [code] = path;
    if (method === "GET") {
      const { lock } = store;
      if (path.length > 0) return this.#missing(path, store.copy);
      return lock === undefined ? refuse(new Refusal("Not Locked", "The lock is free")) : say(lock.code);
    }
    if (!identity.isWriter) return refuse(forbidden("acquire the lock"));
    const holder = identity.name;
    const noCode = new Refusal("Not Found", "Cannot release the lock: the path must be /lock/CODE");
    if (method === "DELETE") {
      const refusal = code === undefined
        ? noCode
        : identity.mayWrite([])
        ? store.breakLock(code, holder)
        : store.abort(code, holder);
      return refusal === undefined ? say("Released") : refuse(refusal);
    }
    const body = await readBody(request, CODE_LENGTH_MAX * 4);
    if (body instanceof Refusal) return refuse(body);
    if (body === "") {
      const outcome = code === undefined ? noCode : await store.commit(code, holder);
      this.#count(outcome);
      return outcome instanceof Refusal ? refuse(outcome) : say("Released");
    }
    if (body.length > CODE_LENGTH_MAX || /\p{Cc}/u.test(body)) {
      return refuse(
        new Refusal(
          "Bad Request",
          `Cannot acquire the lock: the code must be at most ${CODE_LENGTH_MAX} printable characters`,
        ),
      );
    }
    const refusal = store.acquire(body, holder);
    return refusal === undefined ? say("Acquired") : refuse(refusal);
  }

  async #update({ request, method, path: [code, ...path], identity }: Asked): Promise<HttpAnswer> {
    const store = this.#store;
    const { limits } = this.#options;
    if (code === undefined) {
      return refuse(new Refusal("Not Found", "Cannot find /update: the path must be /update/CODE"));
    }
    const holder = identity.name;
    if (!(method === "GET" ? identity.mayRead(path) : identity.mayWrite(path))) {
      return refuse(forbidden(`${method === "GET" ? "read" : "change"} ${formatPath(path)}`));
    }
    if (method === "GET") {
      const value = store.readStaged(code, path, holder);
      if (value instanceof Refusal) return refuseUpdate(value);
      return { status: 200, headers: [JSON_TYPE], body: this.#encodings.of(value) };
    }
    if (method === "DELETE") {
      const refusal = store.update(code, path, undefined, holder);
      return refusal === undefined ? bare(204) : refuseUpdate(refusal);
    }
    const value = await this.#readJson(request, limits.bodyBytesMax);
    // A client without the lock gets that error first, whatever it sent.
    const held = store.readStaged(code, [], holder);
    if (held instanceof Refusal) return refuseUpdate(held);
    if (value instanceof Refusal) return refuse(value);
    if (path.length + depthOf(value) > limits.depthMax) {
      return refuse(
        new Refusal("Bad Request", `Cannot store the value: must have at most ${limits.depthMax} levels of nesting`),
      );
    }
    const refusal = store.update(code, path, value, holder);
    return refusal === undefined ? say("Created", 201) : refuseUpdate(refusal);
  }

  async #lease({ request, method, path, identity }: Asked): Promise<HttpAnswer> {
    const store = this.#store;
    const [name] = path;
    if (path.length > 1 || (name === undefined && method !== "GET")) {
      return refuse(
        new Refusal("Not Found", `Cannot find a lease at ${formatPath(path)}: the path must be /lease/NAME`),
      );
    }
    if (name === undefined) return json(this.#overview.leases(identity));
    const shown = () => this.#overview.lease(name, ANYONE);
    if (method === "GET") {
      const lease = this.#overview.lease(name, identity);
      return lease !== undefined
        ? json(lease)
        : refuse(new Refusal("Not Found", `Cannot find the lease ${quote(name)}: unknown or expired`));
    }
    if (!identity.isWriter) return refuse(forbidden("hold a lease"));
    const unavailable = store.refuseUnavailable();
    if (unavailable !== undefined) return refuse(unavailable);
    if (method === "DELETE") {
      const refusal = await store.endLease(name, identity.name);
      return refusal === undefined ? bare(204) : refuse(refusal);
    }
    const body = await readBody(request, this.#options.limits.bodyBytesMax);
    if (body instanceof Refusal) return refuse(body);
    if (body === "") {
      const refusal = store.renewLease(name, identity.name);
      return refusal === undefined ? json(shown(), { version: store.copy.version }) : refuse(refusal);
    }
    const asked = readLeaseRequest(body, { name, holder: identity.name, depthMax: this.#options.limits.depthMax });
    if (asked instanceof Refusal) return refuse(asked);
    const barred = [...asked.keys.keys()].find((key) => !identity.mayWrite(parsePath(key) ?? []));
    if (barred !== undefined) return refuse(forbidden(`change ${barred}`));
    const outcome = await store.lease(asked);
    if (outcome instanceof Refusal) return refuse(outcome);
    return json(shown(), { status: outcome.isChanged ? 201 : 200, version: store.copy.version });
  }

  async #copy({ request, method, path, identity }: Asked): Promise<HttpAnswer> {
    const { copy } = this.#store;
    if (path.length > 0 || method === "DELETE") {
      return refuse(new Refusal("Not Found", "Cannot find this resource: /copy has no subpaths and cannot be deleted"));
    }
    if (method === "GET") {
      if (!identity.mayRead([])) return refuse(forbidden("read the whole document"));
      return { status: 200, headers: [JSON_TYPE, ["etag", etagOf(copy.version)]], body: formatCopy(copy) };
    }
    if (!identity.mayWrite([])) return refuse(forbidden("replace the whole document"));
    const body = await readBody(request, this.#options.limits.documentBytesMax + COPY_ENVELOPE_BYTES);
    if (body instanceof Refusal) return refuse(body);
    const received = parseCopy(body, this.#options.limits);
    if (received instanceof Refusal) return refuse(received);
    const outcome = await this.#store.accept(received);
    return outcome instanceof Refusal ? refuse(outcome) : say("Created", 201);
  }

  async #stateOf({ request, method, path, identity }: Asked): Promise<HttpAnswer> {
    if (path.length > 0 || method === "DELETE") {
      return refuse(
        new Refusal("Not Found", "Cannot find this resource: /state has no subpaths and cannot be deleted"),
      );
    }
    if (method === "GET") return this.#overview.state();
    if (!identity.mayWrite([])) return refuse(forbidden("add instances"));
    const body = await readBody(request, this.#options.limits.bodyBytesMax);
    if (body instanceof Refusal) return refuse(body);
    let members: unknown;
    try {
      members = JSON.parse(body);
    } catch {
      members = undefined;
    }
    const addresses = addressesOf(members);
    if (!Array.isArray(members) || addresses.length < members.length) {
      return refuse(new Refusal("Bad Request", 'Cannot add instances: the body must be [{"address": "HOST:PORT"}]'));
    }
    const me = this.#options.me();
    const refused = this.#store.members.add(addresses.filter((address) => address !== me));
    for (const { renewed } of members) {
      this.#store.hearOfRenewals(typeof renewed === "object" && renewed !== null ? renewed : {});
    }
    return refused.length === 0 ? say("Created", 201) : refuse(
      new Refusal(
        "Bad Request",
        `Cannot add ${quote(refused)}: each address must be HOST:PORT, and at most 100 instances are allowed`,
      ),
    );
  }

  async #readJson(request: HttpRequest, bytesMax: number): Promise<Tree | Refusal> {
    const body = await readBody(request, bytesMax);
    if (body instanceof Refusal) return body;
    try {
      return parseJson(body, { depthMax: this.#options.limits.depthMax });
    } catch (error) {
      if (error instanceof JsonError) return new Refusal("Bad Request", error.message);
      throw error;
    }
  }

  #count(outcome: Copy | Refusal): void {
    const isConflict = outcome instanceof Refusal && outcome.reason === "Concurrent Update";
    const result = isConflict ? "conflict" : outcome instanceof Refusal ? "refused" : "done";
    this.#options.tally.count("lighthouse_store_commits_total", { result });
  }

  #missing(path: Path, { version }: Copy): HttpAnswer {
    return refuse(new Refusal("Not Found", `Cannot find ${formatPath(path)}`), { version });
  }
}

/**
 * Whether the client has the version already, by its `If-None-Match`: a list of tags (weak ones too,
 * as compressing proxies make them), or `*` for any version.
 */
function isKnown(
  header: string | null,
  { etag, exists }: { readonly etag: string; readonly exists: boolean },
): boolean {
  if (header === null) return false;
  if (header.trim() === "*") return exists;
  return header.split(",").some((each) => each.trim().replace(/^W\//, "") === etag);
}

/** Whether the answer depends on more than the URL. */
function isConditional(headers: HttpRequest["headers"]): boolean {
  return headers.get("if-none-match") !== null || headers.get("accept")?.includes("text/event-stream") === true;
}

/** Whether a browser asks for a page. */
function wantsPage(headers: HttpRequest["headers"]): boolean {
  return headers.get("accept")?.includes("text/html") === true;
}

function forbidden(what: string): Refusal {
  return new Refusal("Forbidden", `Cannot ${what}: permission denied`);
}

/** The reason differs by endpoint: `/update` without the lock is forbidden, `/lock` is not found. */
function refuseUpdate(refusal: Refusal): HttpAnswer {
  const isBarred = refusal.reason === "Not Locked" || refusal.reason === "Invalid Lock Code";
  return refuse(refusal, isBarred ? { status: 403 } : {});
}
