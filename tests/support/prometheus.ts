import { freePort } from "./free_port.ts";
import { ServerProcess } from "./server_process.ts";
import { TempDir } from "./temp_dir.ts";

/** A scrape target. */
export interface ScrapeJob {
  readonly job: string;
  /** `127.0.0.1:9180`. */
  readonly target: string;
  readonly params?: Readonly<Record<string, readonly string[]>>;
}

/** A sample in the answer of a query. */
export interface QuerySample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A real Prometheus that scrapes every 200 ms. */
export class Prometheus implements AsyncDisposable {
  readonly #port: number;
  readonly #resources: AsyncDisposableStack;

  private constructor(port: number, resources: AsyncDisposableStack) {
    [this.#port, this.#resources] = [port, resources];
  }

  /** Starts one on a port of its own. */
  static async start(jobs: readonly ScrapeJob[]): Promise<Prometheus> {
    await using resources = new AsyncDisposableStack();
    const dir = resources.use(new TempDir("lighthouse-prometheus-"));
    const scrape_configs = jobs.map(({ job, target, params }) => ({
      job_name: job,
      static_configs: [{ targets: [target] }],
      ...params && { params },
    }));
    await dir.write("prometheus.yml", JSON.stringify({ global: { scrape_interval: "200ms" }, scrape_configs }));
    const port = freePort();
    const args = [
      `--config.file=${dir.file("prometheus.yml")}`,
      `--storage.tsdb.path=${dir.file("data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const serves = async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).text();
    resources.use(await ServerProcess.start("prometheus", { name: "Prometheus", args, cwd: dir.path, serves }));
    return new Prometheus(port, resources.move());
  }

  /** Runs an instant query. Throws Prometheus's error. */
  async query(query: string): Promise<readonly QuerySample[]> {
    const url = `http://127.0.0.1:${this.#port}/api/v1/query?${new URLSearchParams({ query })}`;
    const { status, error, data } = await (await fetch(url)).json();
    if (status !== "success") throw new Error(`${query}: ${error}`);
    return data.result.map(({ metric, value }: { metric: Record<string, string>; value: [number, string] }) => ({
      labels: metric,
      value: Number(value[1]),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** Runs promtool; returns whether it succeeded, and its output. */
export async function promtool(
  args: readonly string[],
  { cwd, stdin = "" }: { readonly cwd?: string; readonly stdin?: string } = {},
): Promise<{ readonly success: boolean; readonly said: string }> {
  const child = new Deno.Command("promtool", {
    args: [...args],
    ...cwd !== undefined && { cwd },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const [{ success, stdout, stderr }] = await Promise.all([
    child.output(),
    writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()),
  ]);
  const decoder = new TextDecoder();
  return { success, said: decoder.decode(stdout) + decoder.decode(stderr) };
}
