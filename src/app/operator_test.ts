import assert from "node:assert/strict";
import { type AdminCommand, parseCommand } from "../admin/command.ts";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import type { Accepted, AcceptedCluster } from "../config/accepted.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { OperatorOrders } from "../membership/operator_orders.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import type { Node } from "../model/node.ts";
import { onlySource } from "../model/registry_source.ts";
import type { RegistrationReport } from "../reporter/registrar.ts";
import type { TcpConnection } from "../system/connections.ts";
import { SlowLookError } from "../system/processes.ts";
import { AppOperator } from "./operator.ts";

const NODES: readonly Node[] = [8080, 8081, 8082].map((port) => ({
  host: port === 8082 ? "b.test" : "a.test",
  ip: port === 8082 ? "10.0.0.2" : "10.0.0.1",
  port,
  metadata: {},
}));

/** An operator of a process with the cluster `web`, the balancer `haproxy` and the services `api` and `db`. */
class Stage implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly orders = new OperatorOrders({
    clock: this.clock,
    wallNow: () => 1_700_000_000_000 + this.clock.now(),
    log: SILENT,
    disk: { read: () => Promise.reject(new Deno.errors.NotFound()), write: () => Promise.resolve() },
    onChange() {},
  });
  readonly operator: AppOperator;
  registrations: readonly RegistrationReport[] = [];

  constructor(
    { cluster = "web", exclude = [], backend = [], nodes = NODES }: {
      cluster?: string;
      /** The members, at any time. */
      nodes?: readonly Node[] | (() => readonly Node[]);
      exclude?: readonly string[];
      backend?: readonly string[];
    } = {},
  ) {
    const web: AcceptedCluster = {
      cluster: {
        ...CLUSTER_DEFAULTS,
        name: cluster,
        sources: [onlySource("zoo")],
        balancers: new Map(),
        exclude,
      },
      sections: new Map([["haproxy", { backend, serverOptions: "" }]]),
    };
    const services = ["api", "db"].map((name) => [name, { service: { name, ports: [80] } }] as const);
    const accepted = {
      clusters: new Map([["web", web]]),
      balancers: new Map([["haproxy", { plugin: haproxy, config: { defaults: [] } }], ["envoy", {}]]),
      services: new Map(services),
    } as unknown as Accepted;
    this.operator = new AppOperator({
      role: "run",
      dir: "/etc/lighthouse",
      clock: this.clock,
      wallNow: () => 1_700_000_000_000 + this.clock.now(),
      log: SILENT,
      orders: this.orders,
      accepted: () => accepted,
      nodes: () => typeof nodes === "function" ? nodes() : nodes,
      registrations: () => this.registrations,
      connections: () => this.connections(),
      balancers: () => new Map(),
    });
  }

  /** The established connections of the host. */
  connections: () => Promise<readonly TcpConnection[] | undefined> = () => Promise.resolve([]);

  /** Has a command carried out that must succeed; answers what was done, and what the operator is warned of. */
  async do(command: Record<string, unknown> & { verb: AdminCommand["verb"] }): Promise<[string[], string[]]> {
    const { verb, ...body } = command;
    const parsed = parseCommand(verb, body, "alice");
    assert(parsed.ok, JSON.stringify(parsed));
    const result = await this.operator.carryOut(parsed.command, new AbortController().signal);
    assert(result.ok, JSON.stringify(result));
    return [[...result.did], [...result.warnings]];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.orders[Symbol.asyncDispose]();
  }
}

const REASON = { reason: "work", for: 600 };

Deno.test("connections that a busy host cannot count at present are a temporary failure", async () => {
  await using stage = new Stage();
  stage.connections = () => Promise.reject(new SlowLookError("cat did not finish within 2s"));
  assert.deepEqual(await stage.operator.connections({ cluster: "web", target: "a.test" }), {
    ok: false,
    status: 504,
    reason: "Cannot count connections: cat did not finish within 2s",
  });
});

Deno.test("resume of one balancer reports that all are still paused", async () => {
  await using stage = new Stage();
  await stage.orders.at("/run/x.overrides");
  await stage.do({ verb: "pause", ...REASON });
  await stage.do({ verb: "pause", ...REASON, balancer: "haproxy" });
  const [did, warnings] = await stage.do({ verb: "resume", balancer: "haproxy" });
  assert.deepEqual(did, ["Pause of balancer haproxy revoked"]);
  assert.deepEqual(warnings, ["Balancer haproxy stays paused: all balancers are paused; run resume without a name"]);
  assert.deepEqual((await stage.do({ verb: "resume" }))[0], [
    "Management of all balancers is resumed; applying pending changes",
  ]);
});

Deno.test("undrain of a node reports that its host is still drained, or that the cluster's file excludes it", async () => {
  {
    await using stage = new Stage();
    await stage.orders.at("/run/x.overrides");
    await stage.do({ verb: "drain", cluster: "web", target: "a.test" });
    await stage.do({ verb: "drain", cluster: "web", target: "a.test:8080" });
    const [did, warnings] = await stage.do({ verb: "undrain", cluster: "web", target: "a.test:8080" });
    assert.deepEqual(did, ["Override of web/a.test:8080 revoked"]);
    assert.deepEqual(warnings, [
      "Another override of web/a.test:8080 still applies: a.test drain; to revoke it, run undrain a.test",
    ]);
    assert.deepEqual(await stage.do({ verb: "undrain", cluster: "web", target: "a.test" }), [
      ["web/a.test is back in rotation"],
      [],
    ]);
  }
  await using stage = new Stage({ exclude: ["a.test:8081"] });
  await stage.orders.at("/run/x.overrides");
  await stage.do({ verb: "drain", cluster: "web", target: "a.test" });
  const [did, warnings] = await stage.do({ verb: "undrain", cluster: "web", target: "a.test" });
  assert.deepEqual(did, ["Override of web/a.test revoked"]);
  assert.deepEqual(warnings, ["web/a.test:8081 stays drained: excluded by clusters/web.yaml; edit its exclude list"]);
});

Deno.test("undrain of a node that is no longer registered does not report that it is in rotation", async () => {
  let nodes = NODES;
  await using stage = new Stage({ nodes: () => nodes });
  await stage.orders.at("/run/x.overrides");
  await stage.do({ verb: "drain", cluster: "web", target: "b.test" });
  nodes = NODES.filter(({ host }) => host !== "b.test");
  assert.deepEqual(await stage.do({ verb: "undrain", cluster: "web", target: "b.test" }), [
    ["Override of web/b.test revoked; no registered node matches"],
    [],
  ]);
});

Deno.test("weight 100% of a node reports that the weight of its host is still set", async () => {
  await using stage = new Stage();
  await stage.orders.at("/run/x.overrides");
  await stage.do({ verb: "weight", cluster: "web", target: "a.test", percent: 50 });
  await stage.do({ verb: "weight", cluster: "web", target: "a.test:8080", percent: 20 });
  const [did, warnings] = await stage.do({ verb: "weight", cluster: "web", target: "a.test:8080", percent: 100 });
  assert.deepEqual(did, ["Override of web/a.test:8080 revoked"]);
  assert.deepEqual(warnings, [
    "Another override of web/a.test:8080 still applies: a.test weight 50%; to revoke it, run weight a.test 100%",
  ]);
});

Deno.test("weight reports the effect on a balancer without weights", async () => {
  await using stage = new Stage({ backend: ["balance static-rr"] });
  await stage.orders.at("/run/x.overrides");
  const [, warnings] = await stage.do({ verb: "weight", cluster: "web", target: "a.test", percent: 50 });
  assert.deepEqual(warnings, [
    "Balancer haproxy may reload to apply the weight, or ignore the weight: " +
    '"balance static-rr" cannot change weights at run time; use "balance roundrobin"',
  ]);
  const [, none] = await stage.do({ verb: "weight", cluster: "web", target: "b.test", percent: 0 });
  assert.deepEqual(none, []);
});

Deno.test("undrain of one service reports that all are still drained", async () => {
  await using stage = new Stage();
  await stage.orders.at("/run/x.overrides");
  await stage.do({ verb: "drain-local" });
  await stage.do({ verb: "drain-local", service: "api" });
  const [did, warnings] = await stage.do({ verb: "undrain-local", service: "api" });
  assert.deepEqual(did, ["Drain of service api revoked"]);
  assert.deepEqual(warnings, ["Service api stays drained: all services are drained; run undrain without a name"]);
});

Deno.test("drain of this host names the services that are down and so not registered", async () => {
  await using stage = new Stage();
  await stage.orders.at("/run/x.overrides");
  stage.registrations = [["api", "present"], ["db", "absent"]].map(([cluster = "", wanted]) => ({
    registration: { discovery: "zoo", cluster, node: { ...NODES[0] as Node, port: 80 }, wanted: wanted as "present" },
    isDone: true,
    failure: undefined,
    contestedBy: undefined,
  }));
  const [did] = await stage.do({ verb: "drain-local" });
  assert.deepEqual(did, [
    "api:80 is registered as draining until revoked",
    "db:80 is not up; once up, the node is registered as draining until revoked",
  ]);
});

Deno.test("every valid cluster file name can be named in a command", async () => {
  await using stage = new Stage({ cluster: "web:blue" });
  await stage.orders.at("/run/x.overrides");
  const [did] = await stage.do({ verb: "drain", cluster: "web:blue", target: "b.test:8082" });
  assert.deepEqual(did, ["web:blue/b.test:8082 drains until revoked"]);
});

Deno.test("undrain does not compare each override with each node", async () => {
  let reads = 0;
  const nodes = Array.from({ length: 500 }, (_, i): Node => ({
    get host() {
      reads++;
      return `n${i}.test`;
    },
    ip: `10.0.${i >> 8}.${i & 255}`,
    port: 80,
    metadata: {},
  }));
  await using stage = new Stage({ nodes });
  for (let i = 0; i < nodes.length; i++) {
    const order = {
      author: "ann",
      reason: "",
      sinceMs: 0,
      cluster: "web",
      target: `n${i}.test`,
      kind: "drain",
    } as const;
    await stage.orders.put("overrides", order);
  }
  reads = 0;
  const parsed = parseCommand("undrain", { cluster: "web", target: "n7.test" }, "ann");
  assert(parsed.ok);
  const { ok } = await stage.operator.carryOut(parsed.command, new AbortController().signal);
  assert.deepEqual([ok, stage.orders.now.overrides.length], [true, 499]);
  assert(reads < 20 * nodes.length, `${reads} reads`);
});
