/**
 * Ten faults, each planted once, and their report in `status`, `explain`,
 * `history`, `doctor`, /metrics, /health and a notification.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { EventSink } from "../support/event_sink.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";
import { Mount, WHY_NO_MOUNT } from "../support/mount.ts";
import { StatusClient } from "../support/status_client.ts";
import { StoreProcess } from "../store/process.ts";

/** The expected output of each view of the host. */
interface Seen {
  readonly status: RegExp;
  /** The exit code of `status`: 1 degraded, 2 failing. */
  readonly code: 1 | 2;
  readonly explain: RegExp;
  readonly history: RegExp;
  readonly doctor: RegExp;
  readonly metrics: RegExp;
  readonly health: RegExp;
}

/** A host with a history and a notifier, with writer and reporter in one process. */
class SeenStage implements AsyncDisposable {
  readonly host = new TestHost();
  readonly sink = new EventSink();
  readonly status = new StatusClient();
  readonly port = freePort();
  readonly storePort = freePort();
  readonly #resources = new AsyncDisposableStack();
  lighthouse: Lighthouse | undefined;

  /** The address of the admin interface. */
  get admin(): string {
    return `unix:${this.host.dir.file("admin.sock")}`;
  }

  /** Registers a resource to dispose of after the process has ended. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    return this.#resources.use(resource);
  }

  async configure(): Promise<void> {
    await this.host.configure();
    await this.host.write("discovery/static", {});
    await this.serve(4);
    await this.host.write("lighthouse", { history_dir: this.host.dir.file("history") });
    const rules = { events: ["*"], level: "info", group_wait: 0, group_interval: 0 };
    await this.host.write("notifiers/hook", { type: "webhook", url: this.sink.url, ...rules });
  }

  /** Writes the cluster `web` with this many nodes. */
  async serve(nodes: number, section: Record<string, unknown> = {}): Promise<void> {
    const list = Array.from({ length: nodes }, (_, i) => ({ host: `n${i}`, address: "127.0.0.1", port: 20_000 + i }));
    await this.host.write("clusters/web", {
      discovery: "static",
      static: { nodes: list },
      max_shrink_percent: 50,
      haproxy: { port: this.port, backend: ["mode http", "timeout server 1s"], ...section },
    });
  }

  async start(): Promise<Lighthouse> {
    this.lighthouse = Lighthouse.start("run", this.host.configDir, ["--admin", this.admin, ...this.status.flags]);
    await this.lighthouse.event("config.applied");
    await this.lighthouse.event("balancer.started");
    return this.lighthouse;
  }

  async run(...args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
    const [verb = "", ...rest] = args;
    return await runCli([verb, this.host.configDir, ...rest]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lighthouse?.stop();
    await this.#resources[Symbol.asyncDispose]();
    await this.sink[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
  }
}

/** Waits until each view shows what it must. */
async function assertSeen(stage: SeenStage, event: string, seen: Seen): Promise<void> {
  const says = async (what: string, view: () => Promise<string>, pattern: RegExp) => {
    let text = "";
    await eventually(`${what} says ${pattern}`, async () => pattern.test(text = await view())).catch((error) => {
      throw new Error(`${error.message}; it says:\n${text}\n${stage.lighthouse?.log}`);
    });
  };
  await says(
    "the notification",
    () => Promise.resolve(stage.sink.events.map((each) => each.event).join(" ")),
    new RegExp(`(?:^| )${event.replace(".", "\\.")}(?: |$)`),
  );
  await says("/health", async () => JSON.stringify(await stage.status.health()), seen.health);
  await says("/metrics", async () => await (await stage.status.ask("/metrics")).text(), seen.metrics);
  await says("status", async () => {
    const { code, stdout } = await stage.run("status", "--admin", stage.admin);
    return `exit ${code}\n${stdout}`;
  }, seen.status);
  const { code } = await stage.run("status", "--admin", stage.admin);
  assert.equal(code, seen.code);
  await says("explain", async () => (await stage.run("explain", "--admin", stage.admin)).stdout, seen.explain);
  await says("history", async () => (await stage.run("history", "--event", event)).stdout, seen.history);
  await says("doctor", async () => (await stage.run("doctor", "--admin", stage.admin)).stdout, seen.doctor);
}

interface Fault {
  readonly name: string;
  /** The event that reports it. */
  readonly event: string;
  readonly plant: (stage: SeenStage) => Promise<void>;
  readonly seen: Seen;
  readonly ignore?: boolean;
}

const FAULTS: readonly Fault[] = [
  {
    name: "an unreachable registry",
    event: "registry.unreachable",
    async plant(stage) {
      const store = new StoreProcess([
        "--data.d",
        stage.host.dir.file("data"),
        "--bind",
        `127.0.0.1:${stage.storePort}`,
        "--bootstrap",
      ]);
      await store.event("store.listening");
      await stage.host.write("discovery/lighthouse", { hosts: [`127.0.0.1:${stage.storePort}`], path: "/services" });
      await stage.host.write("clusters/far", { discovery: "lighthouse", haproxy: { backend: ["mode http"] } });
      await stage.start();
      await stage.status.until(
        "the registry is connected",
        ({ discovery }) => discovery.lighthouse?.registry === "connected",
      );
      await store[Symbol.asyncDispose]();
    },
    seen: {
      health: /Registry lighthouse has been unreachable/,
      metrics: /lighthouse_registry_connected\{discovery="lighthouse"\} 0/,
      status: /degraded {2}run +Registry lighthouse has been unreachable[^]*!! {2}registry {2}lighthouse +disconnected/,
      code: 1,
      explain: /far/,
      history: /registry\.unreachable .*worker="discovery lighthouse"/,
      doctor: /error {4}registry lighthouse +Cannot connect with the credentials in discovery\/lighthouse\.yaml/,
    },
  },
  {
    name: "a held shrink",
    event: "cluster.held",
    async plant(stage) {
      await stage.start();
      await stage.serve(1);
    },
    seen: {
      health: /A membership change of cluster web has been held/,
      metrics: /lighthouse_cluster_state\{cluster="web",state="held"\} 1/,
      status: /!! {2}cluster {3}web +4 nodes from static; held/,
      code: 1,
      explain: /web[^]*n3:20003/,
      history: /cluster\.held .*cause=shrunk.*cluster=web known=4 said=1/,
      doctor: /ok {7}registry static/,
    },
  },
  {
    name: "a directive that HAProxy rejects",
    event: "balancer.config_rejected",
    async plant(stage) {
      await stage.start();
      await stage.serve(4, { backend: ["mode http", "bogus directive"] });
    },
    seen: {
      health: /degraded":\["[^"]*(?:haproxy|bogus)/,
      metrics: /lighthouse_balancer_config_rejections_total\{balancer="haproxy"\} [1-9]/,
      status: /balancer {2}haproxy/,
      code: 1,
      explain: /web[^]*n3:20003/,
      history: /balancer\.config_rejected .*bogus/,
      doctor: /config/,
    },
  },
  {
    name: "a port in use by another process",
    event: "balancer.address_taken",
    async plant(stage) {
      await stage.start();
      const listener = stage.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
      const { port } = listener.addr as Deno.NetAddr;
      await stage.host.write("clusters/taken", { discovery: "static", static: { nodes: [] }, haproxy: { port } });
    },
    seen: {
      health: /Balancer haproxy (?:has been out of sync for .*address already in use|does not serve taken|skips)/,
      metrics: /lighthouse_health_findings\{severity="degraded"\} [1-9]/,
      status: /!! {2}balancer {2}haproxy +(?:in|out of) sync for .*(?:not serving taken|1 part of the config skipped)/,
      code: 1,
      explain: /taken/,
      history: /balancer\.address_taken .*address already in use/,
      doctor:
        /error {4}balancer haproxy +Cannot bind 127\.0\.0\.1:\d+: address already in use \(held by deno, pid \d+\)\n +fix: kill \d+/,
    },
  },
  {
    name: "a node whose check fails",
    event: "service.down",
    async plant(stage) {
      const check = { type: "tcp", rise: 1, fall: 1, timeout: 0.5 };
      const service = {
        host: "127.0.0.1",
        port: freePort(),
        discovery: "file",
        checks: { interval: 0.2, port: check },
      };
      await stage.host.write("services/api", service);
      await stage.start();
    },
    seen: {
      health: /Service api:\d+ has been down for [^"]*; port: /,
      metrics: /lighthouse_service_up\{service="api:\d+"\} 0/,
      status: /degraded {2}run +Service api:\d+ has been down[^]*!! {2}service {3}api:\d+ +down for/,
      code: 1,
      explain: /web/,
      history: /service\.down .*service=api:\d+/,
      doctor: /ok {7}registry file/,
    },
  },
  {
    name: "a paused balancer",
    event: "management.paused",
    async plant(stage) {
      await stage.start();
      const how = ["--for", "1h", "--reason", "upgrade", "--author", "ann", "--admin", stage.admin];
      assert.equal((await stage.run("pause", ...how)).code, 0);
    },
    seen: {
      health: /Management of balancer haproxy is paused by ann/,
      metrics: /lighthouse_health_findings\{severity="degraded"\} [1-9]/,
      status: /!! {2}balancer {2}haproxy +.*paused by ann/,
      code: 1,
      explain: /web/,
      history: /management\.paused .*author=ann reason=upgrade/,
      doctor: /ok {7}balancer haproxy/,
    },
  },
  {
    name: "a stuck worker",
    event: "worker.stuck",
    async plant(stage) {
      // Different code each time: a plugin that hung on this machine earlier is not run again.
      const plugin = `// ${crypto.randomUUID()}
      export default {
        kind: "check", apiVersion: 1, name: "loop", summary: "never ends", stability: "stable", example: {},
        config: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } },
        permissions: () => ({}),
        probe() { for (;;); },
      };`;
      await Deno.mkdir(`${stage.host.configDir}/plugins`, { recursive: true });
      await Deno.writeTextFile(`${stage.host.configDir}/plugins/loop.ts`, plugin);
      await stage.host.write("plugins", { checks: { loop: { url: "plugins/loop.ts" } } });
      const checks = { interval: 0.2, loop: { timeout: 0.5, rise: 1, fall: 1 } };
      await stage.host.write("services/api", { host: "127.0.0.1", port: freePort(), discovery: "file", checks });
      await stage.start();
    },
    seen: {
      health: /1 worker thread cannot be stopped/,
      metrics: /lighthouse_stuck_threads 1/,
      status: /failing {3}run +1 worker thread cannot be stopped/,
      code: 2,
      explain: /web/,
      history: /worker\.stuck .*threads=1 most=2/,
      doctor: /process +The run, pid \d+, responds/,
    },
  },
  {
    name: "a full disk",
    event: "balancer.file_behind",
    ignore: WHY_NO_MOUNT !== undefined,
    async plant(stage) {
      // The disk of HAProxy's file; the history has a disk of its own.
      stage.use(await Mount.disk(stage.host.haproxy.path("."), { bytes: 512 * 1024 }));
      await stage.start();
      await stage.host.untilServing("web", [20_000, 20_001, 20_002, 20_003]);
      using ballast = await Deno.open(stage.host.haproxy.path("ballast"), { write: true, create: true });
      const block = new Uint8Array(4_096);
      for (;;) if (await ballast.write(block).catch(() => 0) === 0) break;
      await stage.serve(3);
    },
    seen: {
      health: /The file of balancer haproxy has been older than the running config/,
      metrics: /lighthouse_balancer_file_behind\{balancer="haproxy"\} 1/,
      status: /!! {2}balancer {2}haproxy +.*file behind: .*[Nn]o space left/,
      code: 1,
      explain: /web[^]*n2:20002/,
      history: /balancer\.file_behind .*[Nn]o space left/,
      doctor: /balancer haproxy/,
    },
  },
  {
    name: "a second writer",
    event: "writer.standby",
    async plant(stage) {
      const first = Lighthouse.start("writer", stage.host.configDir);
      stage.use(first);
      await first.event("balancer.started");
      stage.lighthouse = Lighthouse.start("run", stage.host.configDir, ["--admin", stage.admin, ...stage.status.flags]);
      await stage.lighthouse.event("writer.standby");
    },
    seen: {
      health: /This writer is on standby for balancer haproxy: process \d+ manages this balancer/,
      metrics: /lighthouse_health_findings\{severity="degraded"\} [1-9]/,
      status: /!! {2}balancer {2}haproxy +.*on standby: process \d+ manages this balancer/,
      code: 1,
      explain: /web/,
      history: /writer\.standby .*process \d+ manages this balancer/,
      doctor:
        /error {4}balancer haproxy +Another writer holds the lock \S+: pid \d+ \(.*\)\n +fix: stop one of the two writers: kill \d+/,
    },
  },
  {
    name: "an expired token",
    event: "cluster.watch_failed",
    async plant(stage) {
      const tokens = stage.host.dir.file("tokens.yaml");
      const token = (name: string) => `- {name: ${name}, token: ${name}-correct-horse, read: [/], write: [/]}\n`;
      await Deno.writeTextFile(tokens, token("host"), { mode: 0o600 });
      const port = stage.storePort;
      const store = stage.use(
        new StoreProcess([
          "--data.d",
          stage.host.dir.file("data"),
          "--bind",
          `127.0.0.1:${port}`,
          "--bootstrap",
          "--tokens",
          tokens,
        ]),
      );
      await store.event("store.listening");
      await stage.host.write("discovery/lighthouse", {
        hosts: [`127.0.0.1:${port}`],
        path: "/services",
        token: "host-correct-horse",
      });
      await stage.host.write("clusters/far", { discovery: "lighthouse", haproxy: { backend: ["mode http"] } });
      // A member, so that a watch can fail.
      await stage.host.write("services/far", {
        host: "127.0.0.1",
        port: freePort(),
        discovery: "lighthouse",
        checks: { interval: 1 },
      });
      await stage.start();
      await stage.status.until(
        "the registry is connected",
        ({ discovery }) => discovery.lighthouse?.registry === "connected",
      );
      await stage.status.until("its node is known", ({ clusters }) => clusters.far?.nodes === 1);
      await Deno.writeTextFile(tokens, token("other"));
      store.kill("SIGHUP");
      await store.event("store.secrets_reloaded");
      // A watch that waits for changes gets an answer within half a minute.
    },
    seen: {
      health: /Cluster far has been stale for [^"]*401 Unauthorized/,
      metrics: /lighthouse_watch_failures_total\{cluster="far"\} [1-9]/,
      status: /!! {2}cluster {3}far +1 node from lighthouse; stale for .*401 Unauthorized/,
      code: 1,
      explain: /far/,
      history: /cluster\.watch_failed .*reason=.*401 Unauthorized/,
      doctor: /(?:error|ok) {2,}registry lighthouse/,
    },
  },
];

for (const { name, event, plant, seen, ignore = false } of FAULTS) {
  Deno.test({
    name:
      `seen: ${name} is reported by status, explain, history, doctor, metrics, health and a notification (${event})`,
    ignore,
    async fn() {
      await using stage = new SeenStage();
      await stage.configure();
      await plant(stage);
      await assertSeen(stage, event, seen);
    },
  });
}
