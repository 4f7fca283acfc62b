import { systemRandom } from "../../src/kernel/random.ts";

/** Why no network can be made, for a test that is skipped then; `undefined` if one can. */
export const WHY_NO_NAMESPACE: string | undefined = whyNot();

/** Faults of the packets between the two sides. */
export type Trouble =
  /** All are dropped. */
  | "drop"
  /** Each gets a reset. */
  | "reject"
  /** Three of ten are lost, in either direction. */
  | "loss";

/**
 * A network beside this process's own, with a cable between the two. Faults are
 * made at the cable's far end, so nothing else on the machine is touched.
 */
export class NetworkNamespace implements AsyncDisposable {
  /** Its name, for `ip netns exec`. */
  readonly name: string;
  /** Its address, reachable from this process. */
  readonly address: string;
  readonly #near: string;
  readonly #cable: string;

  private constructor(number: number) {
    [this.name, this.#cable] = [`lh-faults-${number}`, `lhf${number}`];
    // A network of two hosts, in a random part of 10.0.0.0/8.
    const base = [10, 128 + (number >> 14 & 127), number >> 6 & 255];
    const last = (number & 63) * 4;
    [this.#near, this.address] = [[...base, last + 1].join("."), [...base, last + 2].join(".")];
  }

  /** Creates one. */
  static async make(): Promise<NetworkNamespace> {
    const number = Math.floor(systemRandom() * 2 ** 21);
    const made = new NetworkNamespace(number);
    await run(["ip", "netns", "add", made.name]);
    try {
      await run(["ip", "link", "add", made.#cable, "type", "veth", "peer", "name", "far", "netns", made.name]);
      await run(["ip", "address", "add", `${made.#near}/30`, "dev", made.#cable]);
      await run(["ip", "link", "set", made.#cable, "up"]);
      await run(["ip", "-n", made.name, "address", "add", `${made.address}/30`, "dev", "far"]);
      await run(["ip", "-n", made.name, "link", "set", "far", "up"]);
      await run(["ip", "-n", made.name, "link", "set", "lo", "up"]);
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Applies a fault to all packets, until it is healed. */
  async befall(trouble: Trouble): Promise<void> {
    const rule = { drop: "drop", reject: "reject with tcp reset", loss: "numgen random mod 100 < 30 drop" }[trouble];
    // A packet rejected on its way in needs its answer to get out.
    const out = trouble === "reject" ? "" : rule;
    await this.#rules({ in: `meta l4proto tcp ${rule}`, out: out && `meta l4proto tcp ${out}` });
  }

  /** Drops all packets of the open connections; new connections work. */
  async forgetConnections(): Promise<void> {
    const table = await run(["ss", "--no-header", "--tcp", "--numeric", "dst", this.address]);
    const ports = table.split("\n").map((row) => /:([0-9]+)\s+\S+\s*$/.exec(row)?.[1]).filter((port) => port);
    const set = `{ ${ports.join(", ")} }`;
    await this.#rules({ in: `tcp sport ${set} drop`, out: `tcp dport ${set} drop` });
  }

  /** Ends all faults. */
  async heal(): Promise<void> {
    await run([...this.#within, "nft", "flush", "ruleset"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The kernel would remove the cable only with the last user of the network.
    await run(["ip", "link", "delete", this.#cable]).catch(() => {});
    await run(["ip", "netns", "delete", this.name]);
  }

  get #within(): readonly string[] {
    return ["ip", "netns", "exec", this.name];
  }

  async #rules(rules: { readonly in: string; readonly out: string }): Promise<void> {
    await this.heal();
    const chains = [
      `chain in { type filter hook input priority 0; iifname "far" ${rules.in}\n}`,
      rules.out === "" ? "" : `chain out { type filter hook output priority 0; oifname "far" ${rules.out}\n}`,
    ];
    await run([...this.#within, "nft", `table inet faults {\n${chains.join("\n")}\n}\n`]);
  }
}

async function run([program = "", ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  if (!success) throw new Error(`Cannot ${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

function whyNot(): string | undefined {
  if (Deno.uid() !== 0) return "only root may make a network";
  const { success } = new Deno.Command("unshare", {
    args: ["--net", "ip", "link", "set", "lo", "up"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return success ? undefined : "the system does not let root make a network here";
}
