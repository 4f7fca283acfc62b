/** A program of a host beside the writer that keeps its HAProxy in sync. */
export interface Program {
  /** What it is called: its log is `NAME.log` in the host's directory. */
  readonly name: string;
  /** The program and its arguments: while it runs, it is known by these. */
  readonly args: readonly string[];
  /** The port of the host's address that it listens on, if it is for others to use. */
  readonly port?: number;
}

/** Where a host is. */
export interface Place {
  /** Its name: `app01`. */
  readonly name: string;
  /** Its own address of loopback. Whatever the host listens on, it listens on there. */
  readonly address: string;
  /** The directory of what it writes. */
  readonly dir: string;
}

/** A kind of host, of which any number can be launched. */
export interface HostType {
  /** What it is, in a few words. */
  readonly summary: string;
  /** The applications that run on it. */
  readonly programs: (place: Place) => readonly Program[];
  /**
   * The files of the example's `configs` that are its config directory:
   * `clusters/cache`. `logging`, `discovery/zookeeper` and the balancer's file
   * come by themselves. Without this the host has neither Lighthouse nor HAProxy.
   */
  readonly files?: readonly string[];
  /** Which file of `configs/balancers` is its `balancers/haproxy.yaml`, if not the one of that name. */
  readonly balancer?: string;
  /** Hosts that its files name, so that they have to be there before it. */
  readonly needs?: readonly string[];
}

/** An example: kinds of hosts, and where they are put unless told. */
export interface Example {
  /** Its folder in `examples`. */
  readonly name: string;
  /** The first three numbers of its hosts' addresses, unless told otherwise. */
  readonly network: string;
  /** The kinds of hosts, by the word that `launch` takes. */
  readonly types: Readonly<Record<string, HostType>>;
}

/** The project's root, with a slash at its end. */
export const ROOT: string = new URL("../..", import.meta.url).pathname;

/** A Deno script as a host's program: it may reach only its own host, and gets its address and its port. */
export function script(file: string, port: number, { address }: Place): Program {
  const name = file.replace(/^.*\//, "").replace(/\.ts$/, "");
  const args = [Deno.execPath(), "run", "--no-prompt", `--allow-net=${address}`, `${ROOT}examples/${file}`];
  return { name: `${name}-${port}`, args: [...args, address, String(port)], port };
}

/** A Redis server that keeps nothing. */
export function redisServer({ address, dir }: Place): Program {
  const settings = { bind: address, port: "6379", save: "", dir, "set-proc-title": "no" };
  // Redis would write its own name and port over its arguments, by which it is to be known.
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  return { name: "redis", args: ["redis-server", ...args], port: 6379 };
}
