import { eventually } from "./eventually.ts";
import { TestHost } from "./lighthouse.ts";

/** A host whose registry is a directory of node files, and whose balancers write files. */
export class OutputHost extends TestHost {
  /** Writes the registry's config, and a cluster of it without a section. */
  async prepare(clusters: readonly string[] = ["web"]): Promise<void> {
    await this.write("discovery/file", { path: this.registryDir, ttl: 2 });
    for (const name of clusters) await this.write(`clusters/${name}`, { discovery: "file" });
  }

  /** Registers a node by writing its file. */
  async addNode(cluster: string, port: number, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const node = { host: "a.test", ip: "127.0.0.1", port, ...more };
    await this.dir.write(`registry/${cluster}/a.test:${port}.json`, JSON.stringify(node));
  }

  /** Writes a shell script as a program. */
  async script(name: string, lines: string): Promise<string> {
    const path = await this.dir.write(name, `#!/bin/sh\n${lines}\n`);
    await Deno.chmod(path, 0o755);
    return path;
  }

  /** Reads a file of the host; empty if it does not exist. */
  async read(name: string): Promise<string> {
    return await Deno.readTextFile(this.dir.file(name)).catch(() => "");
  }

  /** Waits until a file has the expected contents. */
  async untilSays(name: string, text: string, log: () => string = () => ""): Promise<void> {
    let seen = "";
    await eventually(`${name} says ${JSON.stringify(text)}`, async () => (seen = await this.read(name)) === text).catch(
      (error) => {
        throw new Error(`${error.message}: last seen ${JSON.stringify(seen)}\n${log()}`);
      },
    );
  }
}
