import { systemRandom } from "../../src/kernel/random.ts";

async function run(...args: readonly string[]): Promise<string> {
  const [program = "", ...rest] = args;
  const { success, stdout, stderr } = await new Deno.Command(program, { args: rest, stdin: "null" }).output();
  if (!success) throw new Error(`${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Hosts with networks of their own: a network namespace each, on one bridge. Needs root. */
export class Network implements AsyncDisposable {
  readonly #id: string;
  readonly #hosts: readonly number[];

  private constructor(id: string, hosts: readonly number[]) {
    this.#id = id;
    this.#hosts = hosts;
  }

  /** Makes a network with hosts 1, 2, …, `count`. */
  static async of(count: number): Promise<Network> {
    const id = `lh${Math.floor(systemRandom() * 1e6)}`;
    const network = new Network(id, Array.from({ length: count }, (_, i) => i + 1));
    const hub = `${id}-hub`;
    await run("ip", "netns", "add", hub);
    await run("ip", "-n", hub, "link", "add", "switch", "type", "bridge");
    await run("ip", "-n", hub, "link", "set", "switch", "up");
    for (const host of network.#hosts) {
      const name = network.#name(host);
      await run("ip", "netns", "add", name);
      await run("ip", "-n", hub, "link", "add", `port${host}`, "type", "veth", "peer", "name", "eth", "netns", name);
      await run("ip", "-n", hub, "link", "set", `port${host}`, "master", "switch", "up");
      await run("ip", "-n", name, "address", "add", `${network.address(host)}/24`, "dev", "eth");
      await run("ip", "-n", name, "link", "set", "eth", "up");
      await run("ip", "-n", name, "link", "set", "lo", "up");
    }
    return network;
  }

  /** The address of a host. */
  address(host: number): string {
    return `10.99.0.${host}`;
  }

  /** Prefix of a command line that runs on a host. */
  on(host: number): readonly string[] {
    return ["ip", "netns", "exec", this.#name(host)];
  }

  /** Runs curl on a host against the store there; returns the output. */
  async ask(host: number, path: string, body?: string): Promise<string> {
    const put = body === undefined ? [] : ["-X", "PUT", "--data-binary", body];
    return await run(...this.on(host), "curl", "-s", "--max-time", "10", ...put, `${this.address(host)}:8001${path}`);
  }

  /** Disconnects a host, or connects it again. */
  async plug(host: number, state: "up" | "down"): Promise<void> {
    await run("ip", "-n", `${this.#id}-hub`, "link", "set", `port${host}`, state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.#hosts.map((host) => this.#name(host)), `${this.#id}-hub`]) {
      await run("ip", "netns", "del", name).catch(() => {});
    }
  }

  #name(host: number): string {
    return `${this.#id}-${host}`;
  }
}
