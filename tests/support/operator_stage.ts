import assert from "node:assert/strict";
import { type CliResult, runCli } from "./cli.ts";
import { NamedServer } from "./haproxy.ts";
import { Lighthouse, TestHost } from "./lighthouse.ts";
import { freePort } from "./free_port.ts";
import { StatusClient } from "./status_client.ts";

/** A host whose HAProxy serves a cluster of static nodes, and whose writer accepts commands of an operator. */
export class OperatorStage implements AsyncDisposable {
  readonly host: TestHost = new TestHost();
  readonly status: StatusClient = new StatusClient();
  /** The port of the cluster `web`. */
  readonly port: number = freePort();
  /** The nodes of the cluster. */
  readonly servers: readonly NamedServer[];
  writer: Lighthouse | undefined;
  readonly #section: Record<string, unknown>;

  /** `names`: the host names of the nodes; `section`: keys of the cluster's section. */
  constructor(names: readonly string[], section: Record<string, unknown> = {}) {
    this.servers = names.map((name) => new NamedServer(name));
    this.#section = { port: this.port, backend: ["mode http", "timeout connect 5s", "timeout server 60s"], ...section };
  }

  /** The socket of the admin interface. */
  get socket(): string {
    return this.host.dir.file("admin.sock");
  }

  /** The ports of the nodes. */
  get ports(): readonly number[] {
    return this.servers.map(({ port }) => port);
  }

  /** Writes the config: a HAProxy, and the nodes in the cluster's own file. */
  async configure(cluster: Record<string, unknown> = {}): Promise<void> {
    await this.host.configure();
    await this.host.write("discovery/static", {});
    await this.serve(this.servers, cluster);
  }

  /** Writes the cluster's file, with these of the nodes. */
  async serve(servers: readonly NamedServer[], cluster: Record<string, unknown> = {}): Promise<void> {
    const nodes = servers.map(({ node }) => ({ host: node.host, address: node.ip, port: node.port }));
    await this.host.write("clusters/web", {
      discovery: "static",
      static: { nodes },
      haproxy: this.#section,
      ...cluster,
    });
  }

  /** Starts the writer, and waits until the cluster is served by these ports. */
  async start(ports: readonly number[] = this.ports): Promise<Lighthouse> {
    const flags = ["--admin", `unix:${this.socket}`, ...this.status.flags];
    this.writer = Lighthouse.start("writer", this.host.configDir, flags);
    await this.writer.event("admin.listening");
    await this.host.untilServing("web", ports).catch((error) => {
      throw new Error(`${error.message}\n${this.writer?.log}`);
    });
    return this.writer;
  }

  /** Runs an operator's command. */
  async run(verb: string, ...args: readonly string[]): Promise<CliResult> {
    return await runCli([verb, this.host.configDir, ...args, "--admin", `unix:${this.socket}`]);
  }

  /** Runs a command that must succeed; returns its output. */
  async do(verb: string, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(verb, ...args);
    assert.equal(code, 0, `${verb} ${args.join(" ")}: ${stderr}\n${this.writer?.log}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.writer?.stop();
    await this.host[Symbol.asyncDispose]();
    for (const server of this.servers) await server[Symbol.asyncDispose]();
  }
}
