import { eventually } from "./eventually.ts";
import { TempDir } from "./temp_dir.ts";

/** The plugin `edge`, a balancer for nginx, by path as a server serves it. */
export async function edgeSource(): Promise<Readonly<Record<string, string>>> {
  const read = (name: string) => Deno.readTextFile(new URL(`./edge_balancer/${name}`, import.meta.url));
  return { "mod.ts": await read("mod.ts"), "schema.ts": await read("schema.ts") };
}

/** A directory for one nginx, which is ended when it is disposed of. */
export class EdgeBox implements AsyncDisposable {
  readonly #dir = new TempDir("lighthouse-nginx-");

  /** The contents of `balancers/edge.yaml`. */
  get file(): Readonly<Record<string, string>> {
    return {
      config_file: this.configFile,
      socket_file: this.socketFile,
      pid_file: this.#dir.file("nginx.pid"),
      error_log: this.#dir.file("error.log"),
    };
  }

  /** The permissions in `plugins.yaml`. */
  get allow(): Readonly<Record<string, readonly string[]>> {
    return { net: [`unix:${this.socketFile}`], write: [this.configFile], run: ["/usr/sbin/nginx"] };
  }

  /** The config file's path. */
  get configFile(): string {
    return this.#dir.file("nginx.conf");
  }

  /** The socket's path. */
  get socketFile(): string {
    return this.#dir.file("nginx.sock");
  }

  /** The config on disk. */
  text(): Promise<string> {
    return Deno.readTextFile(this.configFile);
  }

  /** The worker that answers, and the hash of its config. */
  async status(): Promise<string> {
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path: this.socketFile } });
    return (await (await fetch("http://localhost/lighthouse", { client })).text()).trim();
  }

  /** Waits until nginx runs a config with exactly the members of these ports. */
  async untilServing(ports: readonly number[]): Promise<void> {
    const wanted = JSON.stringify(ports.toSorted());
    let seen: unknown;
    await eventually(`nginx is served by ${wanted}`, async () => {
      const text = await this.text();
      const [, print] = (await this.status()).split(" ");
      seen = [...text.matchAll(/^\s*server [^ ]+:([0-9]+); #/gm)].map(([, port]) => Number(port)).toSorted();
      return text.includes(`$pid ${print}\\n`) && JSON.stringify(seen) === wanted;
    }).catch((error) => {
      throw new Error(`${error.message}: last seen ${JSON.stringify(seen)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pid = Number(await Deno.readTextFile(this.#dir.file("nginx.pid")).catch(() => "0"));
    if (pid > 0) {
      Deno.kill(pid, "SIGTERM");
      await eventually("nginx has ended", async () => !(await exists(this.#dir.file("nginx.pid"))));
    }
    await this.#dir[Symbol.asyncDispose]();
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/**
 * A balancer plugin without a balancer: it runs `true`, manages one file, and
 * has `members` in place of its own. There, `dir` is its directory.
 */
export function oddBalancerSource(dir: string, members: string): string {
  return `const dir = ${JSON.stringify(dir)};
const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
const install = (contents, more = {}) => ({
  do: "install", path: dir + "/file", contents, mode: 0o600, check: [dir + "/check", "%"], when: "now", ...more,
});
const start = (...run) => ({ do: "start", reason: "at will", run });
export default {
  kind: "balancer", apiVersion: 1, name: "odd", summary: "Acts at will.", stability: "experimental",
  config: any, cluster: any,
  permissions: () => ({ net: ["unix:" + dir + "/socket"], write: [dir + "/file"], run: [dir + "/check"] }),
  sources: () => ({
    kind: "process", file: dir + "/file", program: dir + "/check", reloadIntervalMs: 0,
    contact: {
      by: "commands", socket: dir + "/socket", queries: [], dialect: { opening: "prompt", ending: "\\n> ", batchBytesMax: 15000 },
    },
  }),
  pid: () => undefined,
  observe: () => ({}),
  adopt: () => new Map(),
  render: () => ({ files: new Map([[dir + "/file", { text: "" }]]), notices: [] }),
  plan: () => [],
  ...{ ${members} },
};
`;
}
