import assert from "node:assert/strict";
import type { Desired } from "../config/desired.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";
import { Source } from "../config/source.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Service } from "../model/service.ts";
import type { BalancerPlugin, PermissionRequest, Schema, Scope } from "../plugin/contract.ts";
import { PluginCatalog } from "../plugin/source.ts";
import type { Described } from "../supervisor/describer.ts";
import { accept, type Accepted, type AcceptOptions } from "./accept.ts";

const CATALOG = new PluginCatalog(["check/http", "check/tcp", "discovery/zookeeper", "balancer/haproxy"]);

/** A schema that takes a map whose keys are all among these. */
function schema(...known: readonly string[]): Schema<unknown> {
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate(value) {
        const issues = Object.keys(value as object).filter((key) => !known.includes(key)).map((key) =>
          key === "bad" ? { message: "It is bad", path: [key] } : { message: "", path: [key], unknownKey: { known } }
        );
        return issues.length > 0 ? { issues } : { value };
      },
    },
  };
}

const HAPROXY = { kind: "balancer", config: schema("socket"), cluster: schema("port") } as unknown as BalancerPlugin;

/** A plugin that takes every config but one with the key `bad`, and asks for what the key `asks` says. */
function describe(_module: string, raw: unknown, scope: Scope): Promise<Described> {
  const config = raw as { bad?: true; asks?: PermissionRequest; odd?: unknown };
  if (config.bad) return Promise.resolve({ ok: false, issues: [{ message: "It is bad", path: ["bad"] }] });
  if (Object.hasOwn(config, "odd")) {
    const issue = { message: "", path: ["odd"], unknownKey: { known: ["uri"] } };
    return Promise.resolve({ ok: false, issues: [issue] });
  }
  const permissions = config.asks ?? { net: scope.target === undefined ? [] : [scope.target] };
  return Promise.resolve({ ok: true, config: { ...config, checked: true }, permissions });
}

const OPTIONS: AcceptOptions = { catalog: CATALOG, describe, loadBalancer: () => Promise.resolve(HAPROXY) };

/** A service with one check `http`; `check` is what its file says of it. */
function service(
  check: Record<string, unknown> = {},
  { ports = [80], type = "http", host = "127.0.0.1" } = {},
): Service {
  const checks = [{ name: "http", type, rise: 1, fall: 1, timeoutMs: 500, config: check }];
  return { name: "web", discovery: "zookeeper", host, ports, metadata: {}, intervalMs: 1_000, checks };
}

function cluster(sections: Record<string, unknown>): Cluster {
  return { name: "web", discovery: "zookeeper", balancers: new Map(Object.entries(sections)) };
}

/** A config of one file of each kind. */
function desired(
  { zoo = {}, haproxy = {}, web = service(), cluster: section = cluster({ haproxy: {} }), zooType = "zookeeper" }: {
    zoo?: Record<string, unknown>;
    haproxy?: Record<string, unknown>;
    web?: Service;
    cluster?: Cluster;
    zooType?: string;
  } = {},
): Desired {
  const source = (name: string) => [name, new Source(`${name}.yaml`, new TextEncoder().encode("a: 1\n"))] as const;
  return {
    settings: { isolation: "worker" },
    plugins: new Map(),
    host: {},
    logging: { level: undefined },
    discovery: new Map([["zoo", { name: "zoo", type: zooType, config: zoo }]]),
    balancers: new Map([["haproxy", { name: "haproxy", type: "haproxy", config: haproxy }]]),
    clusters: new Map([["web", section]]),
    services: new Map([["web", web]]),
    sources: new Map(["discovery/zoo", "balancers/haproxy", "clusters/web", "services/web"].map(source)),
    drafts: { clusters: new Map(), services: new Map() },
  };
}

/** Accepts; answers what was accepted, and each finding in its first line. */
async function judge(config: Desired, options: Partial<AcceptOptions> = {}): Promise<[Accepted, readonly string[]]> {
  const { accepted, diagnostics } = await accept(config, { ...OPTIONS, ...options });
  return [accepted, diagnostics.map((each) => formatDiagnostic(each).split("\n")[0] ?? "")];
}

Deno.test("accept() takes what the plugins make of their configs, with just what was granted", async () => {
  const [accepted, findings] = await judge(desired({ web: service({ uri: "/" }, { ports: [80, 81] }) }));
  assert.deepEqual(findings, []);
  assert.deepEqual(accepted.discovery.get("zoo")?.instance, {
    id: "discovery zoo",
    kind: "discovery",
    module: "builtin:discovery/zookeeper",
    config: { checked: true },
    scope: { instance: "zoo" },
    granted: { net: [] },
  });
  assert.deepEqual(
    accepted.services.get("web")?.probes.map(({ port, instance }) => ({ port, instance })),
    [80, 81].map(
      (port) => ({
        port,
        instance: {
          id: `check web:${port}/http`,
          kind: "check",
          module: "builtin:check/http",
          config: { uri: "/", checked: true },
          scope: { instance: `check web:${port}/http`, target: `127.0.0.1:${port}` },
          granted: { net: [`127.0.0.1:${port}`] },
        },
      }),
    ),
  );
});

Deno.test("accept() probes where the check says, else where the service is", async () => {
  const web = service({}, { host: "::1" });
  const [check] = web.checks;
  assert.ok(check);
  const [own] = await judge(desired({ web }));
  assert.equal(own.services.get("web")?.probes[0]?.instance.scope.target, "[::1]:80");
  const [other] = await judge(desired({ web: { ...web, checks: [{ ...check, host: "b.int", port: 9 }] } }));
  assert.equal(other.services.get("web")?.probes[0]?.instance.scope.target, "b.int:9");
});

Deno.test.each([
  {
    kind: "check",
    config: desired({ web: service({}, { type: "htpp" }) }),
    then: 'Unknown check "htpp": did you mean http?',
  },
  {
    kind: "discovery",
    config: desired({ zooType: "consul" }),
    then: 'Unknown discovery "consul": there are zookeeper',
  },
  { kind: "config", config: desired({ zoo: { bad: true } }), then: "It is bad" },
  { kind: "check's config", config: desired({ web: service({ bad: true }) }), then: "It is bad" },
  { kind: "section", config: desired({ cluster: cluster({ haproxy: { bad: 1 } }) }), then: "It is bad" },
  {
    kind: "wish for permissions",
    config: desired({ web: service({ asks: { net: ["10.0.0.9:80"] } }) }),
    then: 'Cannot grant what the plugin asks for: net "10.0.0.9:80" is not the check\'s own target, "127.0.0.1:80"',
  },
])("accept() refuses a wrong $kind", async ({ config, then }) => {
  const [, findings] = await judge(config);
  assert.equal(findings.length, 1);
  assert.ok(findings[0]?.endsWith(`: error: ${then}`), findings[0]);
});

Deno.test("accept() keeps the last good value of what is refused now, and takes the rest", async () => {
  const [good] = await judge(desired({ web: service({ uri: "/" }), haproxy: { socket: 1 } }));
  const [now, findings] = await judge(
    desired({ web: service({ bad: true }), haproxy: { bad: 1 }, zoo: { new: true } }),
    { lastGood: good },
  );
  assert.equal(findings.length, 2);
  assert.equal(now.services.get("web"), good.services.get("web"));
  assert.equal(now.balancers.get("haproxy"), good.balancers.get("haproxy"));
  assert.deepEqual(now.discovery.get("zoo")?.instance.config, { new: true, checked: true });
  const [first] = await judge(desired({ web: service({ bad: true }) }));
  assert.equal(first.services.size, 0, "what never was good is left out");
});

Deno.test("accept() tells of each fault once, however many ports have it", async () => {
  const [, findings] = await judge(desired({ web: service({ bad: true }, { ports: [80, 81, 82] }) }));
  assert.equal(findings.length, 1);
});

Deno.test("accept() warns of an unknown key and does without it", async () => {
  const [accepted, findings] = await judge(desired({ web: service({ odd: 1, uri: "/" }) }));
  assert.match(
    findings.join("\n"),
    /^services\/web\.yaml:1:\d+: warning: Unknown key (?:\S+\.)?odd, which is not used/,
  );
  assert.deepEqual(accepted.services.get("web")?.probes[0]?.instance.config, { uri: "/", checked: true });
});

Deno.test("accept() lets the section of a balancer wait that is not there", async () => {
  const [accepted, findings] = await judge(desired({ cluster: cluster({ haproxy: {}, nginx: { bad: 1 } }) }));
  assert.deepEqual(findings, []);
  assert.deepEqual([...accepted.clusters.get("web")?.sections.keys() ?? []], ["haproxy"]);
});

Deno.test("accept() never throws: a balancer that cannot be loaded is a finding", async () => {
  const [accepted, findings] = await judge(desired(), {
    loadBalancer: () => Promise.reject(new Error("no such file")),
  });
  assert.match(findings.join(), /error: Cannot load the balancer haproxy: no such file/);
  assert.equal(accepted.balancers.size, 0);
  assert.equal(accepted.services.size, 1);
});
