/**
 * my_discovery: members of clusters from a registry over HTTP, which records
 * the owner of each node. `registry.ts` is such a registry, for the tests.
 *
 * @module
 */
import type {
  ClusterFacts,
  DiscoveryContext,
  DiscoveryPlugin,
  DiscoverySession,
  Node,
  Registration,
  SchemaIssue,
  SchemaResult,
} from "../../../mod.ts";

/** A file of discovery/, validated. */
export interface Config {
  /** The registry's address: `host:port`. */
  readonly address: string;
}

/** Timeout of deregistration when the session is closed; after that the registry has to expire the nodes. */
const FAREWELL_MS = 100;

/** Returns all issues of a config at once, each with its path; never throws. */
function validate(value: unknown): SchemaResult<Config> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [{ message: "Cannot use the config: must be a map" }] };
  }
  const { address, ...others } = value as Record<string, unknown>;
  const issues: SchemaIssue[] = Object.keys(others).map((key) => ({
    message: `Cannot use ${key}: unknown key`,
    path: [key],
    unknownKey: { known: ["address"] },
  }));
  const isAddress = typeof address === "string" && /^[\w.-]+:[0-9]{1,5}$/.test(address);
  if (isAddress && issues.length === 0) return { value: { address } };
  if (!isAddress) {
    const message = `Cannot use address: must be host:port; current value is ${JSON.stringify(address)}`;
    issues.push({ message, path: ["address"] });
  }
  return { issues };
}

/** A connection to the registry. */
class Session implements DiscoverySession {
  /** This kind of registry never ends a session by itself. */
  readonly ended: Promise<string> = new Promise(() => {});
  readonly #address: string;
  readonly #context: DiscoveryContext;
  /** Identifies this session as the owner of its nodes. */
  readonly #owner = crypto.randomUUID();
  readonly #closing = new AbortController();

  constructor({ address }: Config, context: DiscoveryContext) {
    this.#address = address;
    this.#context = context;
  }

  async *watch(cluster: string, signal: AbortSignal): AsyncGenerator<ClusterFacts> {
    for (let version = 0;;) {
      // Answered when there is a newer version. Throwing is right: the host keeps its members, and watches again.
      const response = await this.#ask(`${cluster}?after=${version}`, { signal });
      const answer = await response.json();
      version = answer.version;
      yield { nodes: answer.nodes, exists: true, epoch: answer.epoch };
    }
  }

  async register(cluster: string, registration: Registration, signal: AbortSignal): Promise<void> {
    // The registry stores no state besides the node: a draining one has it in itself.
    const node: Node = registration.state === "up" ? registration.node : { ...registration.node, state: "drain" };
    await this.#change("PUT", cluster, node, { signal, query: `?owner=${this.#owner}`, body: JSON.stringify(node) });
  }

  async deregister(cluster: string, { node }: Registration, signal: AbortSignal): Promise<void> {
    await this.#change("DELETE", cluster, node, { signal });
  }

  async deregisterOwn(cluster: string, { node }: Registration, signal: AbortSignal): Promise<void> {
    await this.#change("DELETE", cluster, node, { signal, query: `?owner=${this.#owner}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const url = `http://${this.#address}/?owner=${this.#owner}`;
    // An unreachable registry has to expire them by itself.
    await fetch(url, { method: "DELETE", signal: AbortSignal.timeout(FAREWELL_MS) })
      .then((response) => response.body?.cancel(), () => {});
  }

  async #change(
    method: string,
    cluster: string,
    { host, port }: Node,
    { query = "", ...init }: RequestInit & { readonly query?: string },
  ): Promise<void> {
    const response = await this.#ask(`${cluster}/${encodeURIComponent(`${host}:${port}`)}${query}`, {
      ...init,
      method,
    });
    await response.body?.cancel();
  }

  /** Sends requests until the session is closed; reports whether the registry is reachable. */
  async #ask(path: string, { signal, ...init }: RequestInit): Promise<Response> {
    const either = AbortSignal.any([this.#closing.signal, this.#context.signal, ...signal ? [signal] : []]);
    try {
      const response = await fetch(`http://${this.#address}/${path}`, { ...init, signal: either });
      if (!response.ok) {
        await response.body?.cancel();
        throw new Error(`${this.#address} returned HTTP status ${response.status}`);
      }
      this.#context.connection("connected");
      return response;
    } catch (error) {
      if (!either.aborted) this.#context.connection("disconnected", String(error));
      throw error;
    }
  }
}

const plugin: DiscoveryPlugin<Config> = {
  kind: "discovery",
  apiVersion: 1,
  name: "my_discovery",
  summary: "Reads the members of clusters from a registry over HTTP",
  stability: "experimental",
  capabilities: ["watch", "register"],
  example: { address: "127.0.0.1:8500" },
  config: { "~standard": { version: 1, vendor: "my_discovery", validate } },
  // The address in the operator's config, granted by allow: { net: ["{config}"] }.
  permissions: ({ address }) => ({ net: [address] }),
  open: (config, context) => Promise.resolve(new Session(config, context)),
};

export default plugin;
