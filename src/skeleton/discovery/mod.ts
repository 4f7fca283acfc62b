/**
 * my_discovery: members of clusters from a registry over HTTP, which says of
 * each node who made it known. `registry.ts` is such a registry, for the tests.
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

/** What a file of discovery/ says, validated. */
export interface Config {
  /** Where the registry listens: `host:port`. */
  readonly address: string;
}

/** What is registered is taken back within so long when the session is closed; then the registry has to forget it. */
const FAREWELL_MS = 100;

/** Says all that is wrong with a config at once, each with the path to it; never throws. */
function validate(value: unknown): SchemaResult<Config> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [{ message: "Cannot use the config as it must be a map" }] };
  }
  const { address, ...others } = value as Record<string, unknown>;
  const issues: SchemaIssue[] = Object.keys(others).map((key) => ({
    message: `Cannot use ${key} as this discovery does not know it`,
    path: [key],
    unknownKey: { known: ["address"] },
  }));
  const isAddress = typeof address === "string" && /^[\w.-]+:[0-9]{1,5}$/.test(address);
  if (isAddress && issues.length === 0) return { value: { address } };
  if (!isAddress) {
    const message = `Cannot use address as it must be host:port: current value is ${JSON.stringify(address)}`;
    issues.push({ message, path: ["address"] });
  }
  return { issues };
}

/** A connection to the registry. */
class Session implements DiscoverySession {
  /** A registry like this one never ends a session by itself. */
  readonly ended: Promise<string> = new Promise(() => {});
  readonly #address: string;
  readonly #context: DiscoveryContext;
  /** Tells the registry which nodes are this session's. */
  readonly #owner = crypto.randomUUID();
  readonly #closing = new AbortController();

  constructor({ address }: Config, context: DiscoveryContext) {
    this.#address = address;
    this.#context = context;
  }

  async *watch(cluster: string, signal: AbortSignal): AsyncGenerator<ClusterFacts> {
    for (let version = 0;;) {
      // Answered when there is a newer version than that. A throw is right: the host keeps what it has, and watches again.
      const response = await this.#ask(`${cluster}?after=${version}`, { signal });
      const answer = await response.json();
      version = answer.version;
      yield { nodes: answer.nodes, exists: true, epoch: answer.epoch };
    }
  }

  async register(cluster: string, registration: Registration, signal: AbortSignal): Promise<void> {
    // The registry has no state beside the node: one that drains says so itself.
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
    // One that is out of reach has to find out by itself.
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

  /** Asks the registry, until the session is closed; says whether it is in reach. */
  async #ask(path: string, { signal, ...init }: RequestInit): Promise<Response> {
    const either = AbortSignal.any([this.#closing.signal, this.#context.signal, ...signal ? [signal] : []]);
    try {
      const response = await fetch(`http://${this.#address}/${path}`, { ...init, signal: either });
      if (!response.ok) {
        await response.body?.cancel();
        throw new Error(`${this.#address} answers ${response.status}`);
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
  summary: "Members of clusters from a registry over HTTP",
  stability: "experimental",
  capabilities: ["watch", "register"],
  example: { address: "127.0.0.1:8500" },
  config: { "~standard": { version: 1, vendor: "my_discovery", validate } },
  // The address that the operator wrote, which allow: { net: ["{config}"] } grants.
  permissions: ({ address }) => ({ net: [address] }),
  open: (config, context) => Promise.resolve(new Session(config, context)),
};

export default plugin;
