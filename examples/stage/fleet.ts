import { addressWithin, isNetwork } from "./network.ts";
import type { Program } from "./example.ts";

/** Raised when a command cannot be done as it was given; the message is for the person who gave it. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** A host as its directory remembers it. */
export interface Host {
  /** Its name, unique in the fleet: `app01`. */
  readonly name: string;
  /** Its type, in the example's words: `webapp`. */
  readonly type: string;
  /** Its own address. */
  readonly address: string;
  /** The absolute path of its directory. */
  readonly dir: string;
  /** What was started on it, Lighthouse included; HAProxy is Lighthouse's to start. */
  readonly programs: readonly Program[];
}

/** The host that the registry runs on. */
export const REGISTRY_HOST = "zk01";

/** What a host may be called. */
export const NAME = "at most 20 lower-case letters, digits and -";

/** Whether a host may be called so. */
export function isName(text: string): boolean {
  return /^[a-z][a-z0-9-]{0,19}$/.test(text);
}

/** A socket's path may not be longer than the kernel takes, and a reload needs some of it for a while. */
const DIR_LENGTH_MAX = 80;

/** The hosts that were launched, as a directory remembers them: one folder for each. */
export class Fleet {
  /** The absolute path of the directory. */
  readonly dir: string;
  /** The first three numbers of all addresses. */
  readonly network: string;

  private constructor(dir: string, network: string) {
    [this.dir, this.network] = [dir, network];
  }

  /**
   * Opens the fleet in this directory, or an empty one.
   *
   * @throws {UsageError} if the directory or the network will not do
   */
  static async open(dir: string, { network }: { readonly network: string }): Promise<Fleet> {
    if (dir.length > DIR_LENGTH_MAX) {
      throw new UsageError(
        `Cannot use the directory ${dir}: the path of HAProxy's socket would be too long; ` +
          `set --dir to a path of at most ${DIR_LENGTH_MAX} characters`,
      );
    }
    if (!isNetwork(network)) {
      throw new UsageError(
        `Cannot use the network ${JSON.stringify(network)}: must be three numbers, such as 127.88.0`,
      );
    }
    await Deno.mkdir(dir, { recursive: true });
    return new Fleet(dir, network);
  }

  /** All hosts, in the order of their addresses. */
  async hosts(): Promise<readonly Host[]> {
    const hosts: Host[] = [];
    for await (const entry of Deno.readDir(this.dir)) {
      if (!entry.isDirectory) continue;
      const text = await Deno.readTextFile(`${this.dir}/${entry.name}/host.json`).catch(() => undefined);
      if (text !== undefined) hosts.push(JSON.parse(text));
    }
    return hosts.toSorted((a, b) => lastNumber(a.address) - lastNumber(b.address));
  }

  /** The host of this name; throws a {@linkcode UsageError} if there is none. */
  async host(name: string): Promise<Host> {
    const hosts = await this.hosts();
    const found = hosts.find((host) => host.name === name);
    if (found !== undefined) return found;
    throw new UsageError(
      `No host ${JSON.stringify(name)}; launched hosts: ${hosts.map((host) => host.name).join(", ") || "none"}`,
    );
  }

  /**
   * Adds a host with the lowest free address. `design` gets the address and
   * returns what runs there.
   *
   * @throws {UsageError} if the name is taken by now
   */
  async add(name: string, type: string, design: (place: Host) => readonly Program[]): Promise<Host> {
    using _lock = await this.#lock();
    const hosts = await this.hosts();
    if (hosts.some((host) => host.name === name)) {
      throw new UsageError(`Cannot launch ${name}: a host with this name exists; stop it first`);
    }
    const taken = new Set(hosts.map((host) => host.address));
    const address = addressWithin(this.network, { taken, first: name === REGISTRY_HOST ? 1 : 2 });
    const bare: Host = { name, type, address, dir: `${this.dir}/${name}`, programs: [] };
    const host = { ...bare, programs: design(bare) };
    // A host of that name that went before may have left what its programs wrote at last.
    await Deno.remove(host.dir, { recursive: true }).catch(() => {});
    await Deno.mkdir(host.dir);
    await Deno.writeTextFile(`${host.dir}/host.json`, `${JSON.stringify(host, undefined, 2)}\n`);
    return host;
  }

  /** Forgets a host and all that it wrote. */
  async remove({ dir }: Host): Promise<void> {
    await Deno.remove(dir, { recursive: true }).catch(() => {});
  }

  /** Keeps other commands from handing out addresses. */
  async #lock(): Promise<Disposable> {
    const file = await Deno.open(`${this.dir}/lock`, { create: true, write: true });
    await file.lock(true);
    return { [Symbol.dispose]: () => file.close() };
  }
}

function lastNumber(address: string): number {
  return Number(address.slice(address.lastIndexOf(".") + 1));
}
