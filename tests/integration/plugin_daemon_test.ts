/**
 * The daemon with third-party plugins: replaced while in use, unreachable, and
 * confined to their permissions.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { ANNOUNCED, Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { checkSource, hashOf, PluginServer, servedBelow } from "../support/plugin_server.ts";

/** A service of one port whose only check is a plugin's, and its file in the registry. */
async function configureService(host: TestHost, port: number): Promise<string> {
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.write("discovery/file", { path: host.registryDir, ttl: 5 });
  await host.write("services/web", {
    discovery: "file",
    port,
    checks: { interval: 0.1, memcached: { rise: 1, fall: 1 } },
  });
  return `${host.registryDir}/web/${ANNOUNCED.host}:${port}.json`;
}

async function untilRegistered(file: string, reporter: Lighthouse): Promise<void> {
  await eventually("the service is registered", async () => (await Deno.stat(file)).isFile).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
}

Deno.test("a check by URL is swapped live when its hash changes, and needs no network after a restart", async () => {
  await using host = new TestHost();
  await using service = new WebService();
  const [one, two, greedy] = [
    checkSource(),
    checkSource({ version: 2 }),
    checkSource({ version: 3, permissions: "{ net: [target, '127.0.0.1:1'] }" }),
  ];
  const server = new PluginServer({
    ...servedBelow("/1", one),
    ...servedBelow("/2", two),
    ...servedBelow("/3", greedy),
  });
  const file = await configureService(host, service.port);
  const use = async (url: string, source: Readonly<Record<string, string>>) =>
    await host.write("plugins", { checks: { memcached: { url: server.url(url), sha256: await hashOf(source) } } });
  await use("/1/mod.ts", one);
  {
    await using reporter = Lighthouse.start("reporter", host.configDir);
    await untilRegistered(file, reporter);
    await reporter.event("plugin.log", { msg: /version 1 has probed/ });
    using removals = new Removals(file);

    await use("/2/mod.ts", two);
    await reporter.event("plugin.log", { msg: /version 2 has probed/ });
    await use("/1/mod.ts", checkSource({ version: 9 }));
    await reporter.event("config.invalid", {
      file: /plugins\.yaml$/,
      line: 1,
      msg: /the code does not match its approved hash; .*; its last good version stays active/,
    });
    await use("/3/mod.ts", greedy);
    await reporter.event("config.invalid", {
      msg: /net "127\.0\.0\.1:1" is not granted: allow\.net of check\/memcached in plugins\.yaml has/,
    });
    const probes = reporter.log.split("version 2 has probed").length;
    await eventually("version 2 continues", () => reporter.log.split("version 2 has probed").length > probes + 2);
    assert.doesNotMatch(reporter.log, /version 3 has probed/);
    assert.deepEqual(removals.seen, [], "it was never deregistered");
  }
  await server[Symbol.asyncDispose]();
  await use("/2/mod.ts", two);
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(file, reporter);
  await reporter.event("plugin.log", { msg: /version 2 has probed/ });
});

Deno.test("a service whose plugin is unreachable at the start is up once the plugin's server is", async () => {
  await using host = new TestHost();
  await using service = new WebService();
  const source = checkSource();
  const port = freePort();
  const file = await configureService(host, service.port);
  const entry = { url: `http://127.0.0.1:${port}/mod.ts`, sha256: await hashOf(source) };
  await host.write("plugins", { checks: { memcached: entry } });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await reporter.event("config.invalid", { msg: /no verified copy in/ });
  await reporter.event("config.invalid", {
    msg: /Cannot use the memcached check in plugins\.yaml: not loaded/,
  });
  await using _server = new PluginServer(servedBelow("", source), { port });
  reporter.kill("SIGHUP");
  await untilRegistered(file, reporter);
});

Deno.test("a third-party discovery connects only to the granted addresses of its own file", async () => {
  await setUp(["haproxy"]);
  await using host = new TestHost();
  await using registry = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("[8001]"));
  const { port } = registry.addr;
  await host.dir.write("config/plugins/web_registry.ts", discoverySource());
  await host.write("discovery/registry", { type: "web_registry", address: `127.0.0.1:${port}` });
  await host.write("clusters/web", { discovery: "registry", haproxy: { port: freePort() } });
  await host.write("balancers/haproxy", host.haproxy.file);
  const use = async (allow: unknown) =>
    await host.write("plugins", { discovery: { web_registry: { url: "plugins/web_registry.ts", allow } } });
  await use({});
  await using writer = Lighthouse.start("writer", host.configDir);
  await writer.event("config.invalid", {
    file: /discovery\/registry\.yaml$/,
    line: 1,
    msg: /net .* is not granted: allow\.net of discovery\/web_registry in plugins/,
  });
  await use({ net: ["{config}"] });
  await host.untilServing("web", [8001]);
  await host.write("discovery/registry", { type: "web_registry", address: `127.0.0.1:${port}`, beside: "127.0.0.1:1" });
  await writer.event("config.invalid", { msg: /net .?127\.0\.0\.1:2.* is not granted/ });
  await host.untilServing("web", [8001]);
});

/** A discovery in TypeScript that asks a web server for ports; with `beside`, it requests an address that nobody configured. */
function discoverySource(): string {
  return `import type { ClusterFacts, DiscoveryPlugin } from "../anywhere/mod.ts";
interface Config { readonly address: string; readonly beside?: string }
const plugin: DiscoveryPlugin<Config> = {
  kind: "discovery", apiVersion: 1, name: "web_registry", capabilities: ["watch", "register"], summary: "Asks.", stability: "experimental",
  config: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: value as Config }) } },
  permissions: ({ address, beside }) => ({ net: beside === undefined ? [address] : [address, "127.0.0.1:2"] }),
  async open({ address }, { connection }) {
    connection("connected");
    return {
      async *watch(cluster: string, signal: AbortSignal): AsyncGenerator<ClusterFacts> {
        const ports: number[] = await (await fetch("http://" + address + "/", { signal })).json();
        yield { exists: true, epoch: "1", nodes: ports.map((port) => ({ host: "a.test", ip: "127.0.0.1", port, metadata: {} })) };
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
      async register() {}, async deregister() {}, async deregisterOwn() {},
      ended: new Promise<string>(() => {}),
      async [Symbol.asyncDispose]() {},
    };
  },
};
export default plugin;
`;
}

/** The removals of a file, as they happen. */
class Removals implements Disposable {
  readonly seen: string[] = [];
  readonly #watcher: Deno.FsWatcher;

  constructor(file: string) {
    this.#watcher = Deno.watchFs(file.slice(0, file.lastIndexOf("/")), { recursive: false });
    void this.#read(file);
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }

  async #read(file: string): Promise<void> {
    for await (const { kind, paths } of this.#watcher) {
      if (kind === "remove") this.seen.push(...paths.filter((path) => path === file));
    }
  }
}
