import assert from "node:assert/strict";
import type { Finding } from "../kernel/findings.ts";
import type { Desired } from "./desired.ts";
import { formatDiagnostic } from "./diagnostics.ts";
import { DEFAULT_SETTINGS } from "./settings_schema.ts";
import { Source } from "./source.ts";
import type { Cluster } from "../model/cluster.ts";
import { DEFAULT_LOGGING } from "../logging/plan.ts";
import type { Service } from "../model/service.ts";
import type { BalancerPlugin, PermissionRequest, Schema, Scope } from "../plugin/contract.ts";
import { PluginCatalog } from "../plugin/source.ts";
import type { Described, DiscoveryTraits, PluginKind } from "../plugin/instance.ts";
import { accept, type AcceptOptions } from "./accept.ts";
import { UndecidedError } from "../plugin/decider.ts";
import type { Accepted } from "./accepted.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import { onlySource } from "../model/registry_source.ts";

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
  return Promise.resolve({ ok: true, config: { ...config, checked: true }, permissions, traits: TRAITS });
}

const TRAITS: DiscoveryTraits = { capabilities: ["watch", "register"], sections: ["cluster", "service"] };

const OPTIONS: AcceptOptions = {
  catalog: CATALOG,
  describe,
  describeSection: async (_module, of, raw) =>
    await schema(of === "cluster" ? "nodes" : "ttl")["~standard"].validate(raw),
  openBalancer: () => Promise.resolve(HAPROXY),
};

/** A service with one check `http`; `check` is what its file says of it. */
function service(
  check: Record<string, unknown> = {},
  { ports = [80], type = "http", host = "127.0.0.1" } = {},
): Service {
  const checks = [{ name: "http", type, rise: 1, fall: 1, timeoutMs: 500, config: check }];
  return {
    ...CLUSTER_DEFAULTS,
    name: "web",
    sources: [onlySource("zookeeper")],
    host,
    ports,
    metadata: {},
    intervalMs: 1_000,
    unknownGraceMs: 60_000,
    checks,
  };
}

function cluster(sections: Record<string, unknown>): Cluster {
  return {
    ...CLUSTER_DEFAULTS,
    name: "web",
    sources: [onlySource("zookeeper")],
    balancers: new Map(Object.entries(sections)),
  };
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
    settings: DEFAULT_SETTINGS,
    plugins: new Map(),
    host: {},
    logging: DEFAULT_LOGGING,
    discovery: new Map([["zoo", { name: "zoo", type: zooType, config: zoo }]]),
    balancers: new Map([["haproxy", { name: "haproxy", type: "haproxy", config: haproxy }]]),
    notifiers: new Map(),
    clusters: new Map([["web", section]]),
    services: new Map([["web", web]]),
    sources: new Map(["discovery/zoo", "balancers/haproxy", "clusters/web", "services/web"].map(source)),
    clusterFiles: ["web"],
    drafts: { clusters: new Map(), services: new Map() },
  };
}

/** Accepts; answers what was accepted, and each finding in its first line. */
async function judge(
  config: Desired,
  { lastGood, ...options }: Partial<Omit<AcceptOptions, "lastGood">> & { readonly lastGood?: Accepted } = {},
): Promise<[Accepted, readonly string[]]> {
  const last = lastGood && { accepted: lastGood, sources: config.sources };
  const { accepted, diagnostics } = await accept(config, { ...OPTIONS, ...options, lastGood: last });
  return [accepted, diagnostics.map((each) => formatDiagnostic(each).split("\n")[0] ?? "")];
}

Deno.test("accept() uses the configs that plugins return, with exactly the granted permissions", async () => {
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

Deno.test("accept() probes the check's host if set, otherwise the service's", async () => {
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
    then: 'Unknown discovery "consul": available are zookeeper',
  },
  { kind: "config", config: desired({ zoo: { bad: true } }), then: "It is bad" },
  { kind: "check's config", config: desired({ web: service({ bad: true }) }), then: "It is bad" },
  { kind: "section", config: desired({ cluster: cluster({ haproxy: { bad: 1 } }) }), then: "It is bad" },
  {
    kind: "requested permission",
    config: desired({ web: service({ asks: { net: ["10.0.0.9:80"] } }) }),
    then:
      `Cannot grant the plugin's requested permissions: net "10.0.0.9:80" is not the target of the check, "127.0.0.1:80"`,
  },
])("accept() rejects a wrong $kind", async ({ config, then }) => {
  const [, findings] = await judge(config);
  assert.equal(findings.length, 1);
  assert.ok(findings[0]?.endsWith(`: error: ${then}`), findings[0]);
});

Deno.test("accept() keeps the last good value of a rejected file, and loads the rest", async () => {
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

Deno.test("accept() reports each fault once, however many ports have it", async () => {
  const [, findings] = await judge(desired({ web: service({ bad: true }, { ports: [80, 81, 82] }) }));
  assert.equal(findings.length, 1);
});

Deno.test("accept() warns of an unknown key and drops it", async () => {
  const [accepted, findings] = await judge(desired({ web: service({ odd: 1, uri: "/" }) }));
  assert.match(
    findings.join("\n"),
    /^services\/web\.yaml:1:\d+: warning: Unknown key (?:\S+\.)?odd is ignored/,
  );
  assert.deepEqual(accepted.services.get("web")?.probes[0]?.instance.config, { uri: "/", checked: true });
});

Deno.test("accept() rejects a section's key next to the section, and warns about other unknown keys", async () => {
  const unknown = (key: string): Finding => ({ severity: "warning", path: [key], at: "key", message: "Unknown key" });
  const unknownKeys = [unknown("port"), unknown("comment")];
  const [accepted, findings] = await judge(desired({ cluster: { ...cluster({ haproxy: {} }), unknownKeys } }));
  assert.deepEqual(findings.map((finding) => finding.replace(/^\S+ /, "")).toSorted(), [
    "error: Cannot use port here: port belongs under haproxy",
    "warning: Unknown key",
  ]);
  assert.equal(accepted.clusters.size, 0);
});

Deno.test("accept() rejects a cluster key inside a section, unless the section has a key with that name", async () => {
  const section = { min_nodes: 3, odd: 1, name: "x" };
  const named = { kind: "balancer", config: schema("socket"), cluster: schema("name") } as unknown as BalancerPlugin;
  const [accepted, findings] = await judge(desired({ cluster: cluster({ haproxy: section }) }), {
    openBalancer: () => Promise.resolve(named),
  });
  assert.deepEqual(findings.map((finding) => finding.replace(/^\S+ /, "").replace(/ is ignored.*/, "")).toSorted(), [
    "error: Cannot use haproxy.min_nodes here: min_nodes belongs at the top level of the file",
    "warning: Unknown key haproxy.odd",
  ]);
  assert.equal(accepted.clusters.size, 0);
});

Deno.test("accept() fills a secret of a cluster's section in from its file", async () => {
  const secret = {
    kind: "balancer",
    config: schema("socket"),
    cluster: schema("password"),
  } as unknown as BalancerPlugin;
  const [accepted, findings] = await judge(desired({ cluster: cluster({ haproxy: { password_file: "p" } }) }), {
    openBalancer: () => Promise.resolve(secret),
    secrets: new Map([["p", { text: "swordfish" }]]),
  });
  assert.deepEqual(findings, []);
  assert.deepEqual(accepted.clusters.get("web")?.sections.get("haproxy"), { password: "swordfish" });
});

Deno.test("accept() suggests the key of a secret's file if it is closer than the secret's own", async () => {
  const secret = {
    kind: "balancer",
    config: schema("password", "user"),
    cluster: schema(),
  } as unknown as BalancerPlugin;
  const wrong = { pasword_file: "p", usr_file: "u" };
  const [, findings] = await judge(desired({ haproxy: wrong, cluster: cluster({}) }), {
    openBalancer: () => Promise.resolve(secret),
    secrets: new Map([["p", { text: "swordfish" }], ["u", { text: "me" }]]),
  });
  assert.deepEqual(findings.map((finding) => /did you mean (\w+)/.exec(finding)?.[1]).toSorted(), [
    "password_file",
    "user_file",
  ]);
});

Deno.test("accept() reports other faults beside an unreadable secret", async () => {
  const secret = { kind: "balancer", config: schema("password"), cluster: schema() } as unknown as BalancerPlugin;
  const [, findings] = await judge(desired({ haproxy: { password_file: "p", bad: 1 }, cluster: cluster({}) }), {
    openBalancer: () => Promise.resolve(secret),
    secrets: new Map([["p", { reason: "no such file" }]]),
  });
  assert.deepEqual(findings.map((finding) => finding.replace(/^\S+ error: /, "")).toSorted(), [
    "Cannot use password_file: no such file",
    "It is bad",
  ]);
});

Deno.test("accept() keeps a service whose check can no longer be fetched, and adds none whose check never could", async () => {
  const web = service({}, { type: "memcached" });
  const fetched = new PluginCatalog(["check/memcached", "discovery/zookeeper", "balancer/haproxy"]);
  const [before] = await judge(desired({ web }), { catalog: fetched });
  const catalog = {
    find: (...[kind, name]: Parameters<PluginCatalog["find"]>) =>
      name === "memcached" ? undefined : CATALOG.find(kind, name),
    names: (kind: PluginKind) => CATALOG.names(kind),
    missing: () => "nobody answers at http://127.0.0.1:1/mod.ts",
  };
  const [after, findings] = await judge(desired({ web }), { catalog, lastGood: before });
  assert.equal(after.services.get("web"), before.services.get("web"), "its checks go on, and count what they count");
  assert.match(findings.join("\n"), /error: Cannot use the memcached check in plugins\.yaml: nobody answers/);
  const [fresh] = await judge(desired({ web }), { catalog });
  assert.equal(fresh.services.size, 0);
});

Deno.test("accept() defers the section of a missing balancer", async () => {
  const [accepted, findings] = await judge(desired({ cluster: cluster({ haproxy: {}, nginx: { bad: 1 } }) }));
  assert.deepEqual(findings, []);
  assert.deepEqual([...accepted.clusters.get("web")?.sections.keys() ?? []], ["haproxy"]);
});

Deno.test("accept() validates the section of a balancer whose own file is invalid", async () => {
  const broken = desired({ haproxy: { bad: 1 }, cluster: cluster({ haproxy: { bad: 1 } }) });
  const { accepted, diagnostics } = await accept(broken, OPTIONS);
  assert.equal(accepted.clusters.size, 0);
  assert.deepEqual(diagnostics.map(({ file, message }) => `${file} ${message}`).toSorted(), [
    "balancers/haproxy.yaml It is bad",
    "clusters/web.yaml It is bad",
  ]);
});

Deno.test("accept() never throws: a balancer that cannot be loaded is a finding", async () => {
  const [accepted, findings] = await judge(desired(), {
    openBalancer: () => Promise.reject(new Error("no such file")),
  });
  assert.match(findings.join(), /error: Cannot load the haproxy balancer: no such file/);
  assert.equal(accepted.balancers.size, 0);
  assert.equal(accepted.services.size, 1);
});

Deno.test("accept() reports plugins' findings in invalid files, and none of their previous version", async () => {
  const config = desired({ web: service({ odd: 1 }), cluster: cluster({ haproxy: { odd: 1 } }) });
  const source = new Source("draft.yaml", new TextEncoder().encode("a: 1\n"));
  const [accepted, findings] = await judge({
    ...config,
    drafts: {
      clusters: new Map([["web", { value: cluster({ haproxy: { bad: 1 } }), source }]]),
      services: new Map([["web", { value: service({ bad: true }), source }]]),
    },
  });
  assert.deepEqual(findings, ["draft.yaml:1:1: error: It is bad", "draft.yaml:1:1: error: It is bad"]);
  assert.ok(accepted.services.has("web"), "what it said last stays");
  assert.ok(accepted.clusters.has("web"));
});

/** A config of two clusters by file; a section is the port that it wants. */
function clusters(wanted: Record<string, { name: string; port?: unknown; bad?: true }>): Desired {
  const config = desired();
  const objects = Object.entries(wanted).map(([file, { name, ...section }]): [string, Cluster] => [
    file,
    { ...CLUSTER_DEFAULTS, name, sources: [onlySource("zoo")], balancers: new Map([["haproxy", section]]) },
  ]);
  const source = (file: string) =>
    [`clusters/${file}`, new Source(`${file}.yaml`, new TextEncoder().encode("a: 1\n"))] as const;
  return {
    ...config,
    clusters: new Map(objects),
    sources: new Map([...config.sources, ...Object.keys(wanted).map(source)]),
  };
}

function namesOf(accepted: Accepted): string {
  return [...accepted.clusters].map(([file, { cluster }]) => `${file}:${cluster.name}`).join(" ");
}

Deno.test("accept() reports a name that another last good value uses, and keeps that", async () => {
  const [before] = await judge(clusters({ a: { name: "x" }, b: { name: "y" } }));
  // The first gives up its name, but is rejected for something else: so it keeps it.
  const [now, findings] = await judge(clusters({ a: { name: "z", bad: true }, b: { name: "x" } }), {
    lastGood: before,
  });
  assert.equal(namesOf(now), "a:x b:y");
  assert.deepEqual(findings, [
    "a.yaml:1:1: error: It is bad",
    "b.yaml:1:1: error: Cannot use the name x: already used by clusters/a",
  ]);
});

Deno.test("accept() reports a port that another last good service uses", async () => {
  const two = (one: Service, other: Service): Desired => ({
    ...desired(),
    services: new Map([["one", one], ["other", other]]),
    sources: new Map(
      ["one", "other"].map((file) => [`services/${file}`, new Source(file, new TextEncoder().encode("a: 1\n"))]),
    ),
  });
  const [before] = await judge(two(service({}, { ports: [80] }), service({}, { ports: [81] })));
  const [now, findings] = await judge(
    two(service({ bad: true }, { ports: [82] }), service({}, { ports: [80] })),
    { lastGood: before },
  );
  assert.deepEqual([...now.services].map(([file, { service }]) => `${file}:${service.ports}`), ["one:80", "other:81"]);
  assert.match(
    findings.join("\n"),
    /other:1:1: error: Cannot use port 80 of service web: already used by services\/one/,
  );
});

Deno.test("accept() leaves a port to the cluster that has it when a cluster or balancer claims it", async () => {
  const listening = {
    ...HAPROXY,
    config: schema("socket", "port"),
    listens: (config: { port?: number }, section?: { port?: number }) => {
      const port = (section ?? config).port;
      return port === undefined ? [] : [{ host: "", port, path: ["port"] }];
    },
  } as unknown as BalancerPlugin;
  const options = { openBalancer: () => Promise.resolve(listening) };
  const served = clusters({ b: { name: "b", port: 80 } });
  const [before] = await judge(served, options);
  const newcomer = clusters({ a: { name: "a", port: 80 }, b: { name: "b", port: 80 } });
  const b = served.clusters.get("b");
  assert.ok(b);
  const [now, findings] = await judge(
    {
      ...newcomer,
      clusters: new Map([...newcomer.clusters, ["b", b]]),
      balancers: new Map([["haproxy", { name: "haproxy", type: "haproxy", config: { port: 80 } }]]),
    },
    { ...options, lastGood: before },
  );
  assert.equal(namesOf(now), "b:b");
  assert.equal(now.balancers.get("haproxy"), before.balancers.get("haproxy"));
  assert.deepEqual(findings.map((line) => line.replace(/^[^:]+:1:1: /, "")).toSorted(), [
    "error: Cannot use port 80: already used by clusters/b",
    "error: Cannot use port 80: already used by clusters/b",
    "warning: Port 80 is also used by clusters/b on this host: the service's checks connect to the balancer",
  ]);
});

/** A cluster and a service of the discovery `zoo`, with what they say to it. */
function withOptions(ofCluster?: Record<string, unknown>, ofService?: Record<string, unknown>): Desired {
  return desired({
    cluster: { ...cluster({ haproxy: {} }), sources: [onlySource("zoo", ofCluster)] },
    web: { ...service(), sources: [onlySource("zoo", ofService)] },
  });
}

Deno.test("accept() has a discovery's plugin validate its sections, and passes on the result", async () => {
  const [accepted, findings] = await judge(withOptions({ nodes: 1 }, { ttl: 2 }));
  assert.deepEqual(findings, []);
  assert.deepEqual(accepted.clusters.get("web")?.options?.get("zoo"), { nodes: 1 });
  assert.deepEqual(accepted.services.get("web")?.options?.get("zoo"), { ttl: 2 });
  const [, wrong] = await judge(withOptions({ bad: 1 }, { tttl: 1 }));
  assert.deepEqual(wrong.map((line) => line.replace(/^\S+ /, "")).toSorted(), [
    "error: It is bad",
    "warning: Unknown key zoo.tttl is ignored: did you mean ttl?",
  ]);
});

Deno.test("accept() keeps a cluster whose section its discovery rejects", async () => {
  const [before] = await judge(withOptions({ nodes: 1 }));
  const [after] = await judge(withOptions({ bad: 1 }), { lastGood: before });
  assert.deepEqual(after.clusters.get("web")?.options?.get("zoo"), { nodes: 1 });
});

Deno.test("accept() warns of a section for a discovery without sections", async () => {
  const [accepted, findings] = await judge(withOptions({ nodes: 1 }), {
    describe: async (...asked) => ({ ...await describe(...asked), traits: { ...TRAITS, sections: [] } }),
  });
  assert.match(findings.join("\n"), /warning: Section zoo is ignored: zookeeper has no options for a cluster$/);
  assert.equal(accepted.clusters.get("web")?.options, undefined);
});

Deno.test.each(
  [
    { capabilities: ["register"], then: "Cannot use the zoo discovery here: zookeeper cannot watch clusters" },
    { capabilities: ["watch"], then: "Cannot use the zoo discovery here: zookeeper cannot register nodes" },
  ] as const,
)("accept() rejects what needs more than a discovery that can $capabilities", async ({ capabilities, then }) => {
  const [accepted, findings] = await judge(withOptions(), {
    describe: async (...asked) => ({ ...await describe(...asked), traits: { ...TRAITS, capabilities } }),
  });
  assert.equal(findings.length, 1);
  assert.ok(findings[0]?.endsWith(`: error: ${then}`), findings[0]);
  assert.equal(accepted.clusters.size + accepted.services.size, 1);
});

Deno.test.each(["name", "haproxy", "checks", "http"])(
  "accept() rejects a discovery with sections named %s, which is already a key",
  async (name) => {
    const [accepted, findings] = await judge({
      ...desired(),
      discovery: new Map([[name, { name, type: "zookeeper", config: {} }]]),
      sources: new Map([[`discovery/${name}`, new Source(`${name}.yaml`, new TextEncoder().encode("a: 1\n"))]]),
    });
    assert.equal(accepted.discovery.size, 0);
    assert.match(
      findings.join("\n"),
      new RegExp(`^${name}.yaml:1:1: error: Cannot use the name ${name} for a discovery`),
    );
  },
);

Deno.test("accept() gives name servers only to a discovery that requests one", async () => {
  const nameService = { nameServers: ["10.0.0.2:53"], searchDomains: ["a.int"], ndots: 1 };
  const [without] = await judge(desired(), { nameService });
  assert.deepEqual(without.discovery.get("zoo")?.instance.scope, { instance: "zoo" });
  const asks = { asks: { net: nameService.nameServers } };
  const [asking] = await judge(desired({ zoo: asks }), { nameService });
  assert.deepEqual(asking.discovery.get("zoo")?.instance.scope, { instance: "zoo", ...nameService });
  assert.deepEqual(asking.services.get("web")?.probes[0]?.instance.scope, {
    instance: "check web:80/http",
    target: "127.0.0.1:80",
  });
});

Deno.test("accept() keeps a notifier whose file is rejected, with exactly the granted permissions", async () => {
  const catalog = new PluginCatalog(["notifier/hook", "check/http", "discovery/zookeeper", "balancer/haproxy"]);
  const notified = (config: Record<string, unknown>): Desired => ({
    ...desired(),
    notifiers: new Map([["ops", { name: "ops", type: "hook", config }]]),
  });
  const [good] = await judge(notified({ asks: { net: ["127.0.0.1:9"] } }), { catalog });
  assert.deepEqual(good.notifiers.get("ops")?.instance.granted, { net: ["127.0.0.1:9"] });
  const [kept] = await judge(notified({ bad: true }), { catalog, lastGood: good });
  assert.equal(kept.notifiers.get("ops"), good.notifiers.get("ops"));
});

Deno.test("accept() treats a cluster as unknown to a balancer whose plugin has never validated its section", async () => {
  const config = desired();
  const [good] = await judge(config);
  const plugin = await OPTIONS.openBalancer({} as never);
  const late = () => Promise.reject(new UndecidedError("Cannot use the plugin of balancer haproxy: it is late"));
  const openBalancer = () =>
    Promise.resolve({ ...plugin, cluster: { "~standard": { ...plugin.cluster["~standard"], validate: late } } });
  const [first] = await judge(config, { openBalancer });
  assert.deepEqual([first.clusters.get("web")?.sections.size, first.unknownClusters], [0, ["web"]]);
  const [again] = await judge(config, { openBalancer, lastGood: first });
  assert.deepEqual(again.unknownClusters, ["web"]);
  const [later] = await judge(config, { openBalancer, lastGood: good });
  assert.deepEqual([later.clusters.get("web")?.sections.size, later.unknownClusters], [1, []]);
});
