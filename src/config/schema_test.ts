import assert from "node:assert/strict";
import fc from "fast-check";
import type { SchemaResult } from "../plugin/contract.ts";
import { readLogging } from "./logging_schema.ts";
import {
  type Checked,
  DEFAULT_HOST,
  DEFAULT_SETTINGS,
  isName,
  readCluster,
  readHost,
  readPluginFile,
  readService,
  readSettings,
  validateKnown,
  validateKnownAsync,
} from "./schema.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";

const web = {
  discovery: "zookeeper",
  port: 8000,
  checks: { interval: 2, http: { uri: "/health", rise: 2, fall: 3 } },
};

function service(raw: unknown): Checked<NonNullable<ReturnType<typeof readService>["value"]>> {
  return readService(raw, { fileName: "web" });
}

/** The value of what has no findings. */
function good<T>({ value, findings }: Checked<T>): T {
  assert.deepEqual(findings, []);
  assert.ok(value !== undefined);
  return value;
}

/** The errors of what has no value, one a line: `path: message`. */
function bad(checked: Checked<unknown>): string {
  assert.equal(checked.value, undefined);
  return checked.findings.filter(({ severity }) => severity === "error")
    .map(({ path, message }) => `${path.join(".")}: ${message}`).join("\n");
}

Deno.test("readService() reads a service, and gives what is not the host's to the plugin", () => {
  assert.deepEqual(good(service(web)), {
    name: "web",
    discovery: "zookeeper",
    host: "127.0.0.1",
    ports: [8000],
    metadata: {},
    intervalMs: 2_000,
    checks: [{ name: "http", type: "http", rise: 2, fall: 3, timeoutMs: 2_000, config: { uri: "/health" } }],
  });
});

Deno.test("readService() reads each key that a service may have", () => {
  const raw = {
    name: "app",
    discovery: "other",
    host: "::1",
    ports: ["8001", 8000, 8000],
    metadata: { zone: "é", list: [1, null, true, { a: "b" }] },
    checks: {
      interval: "0.5",
      alive: { type: "tcp", rise: "0", fall: "2", timeout: 0.25, host: "db.local", port: "99", query: "ping" },
    },
  };
  assert.deepEqual(good(service(raw)), {
    name: "app",
    discovery: "other",
    host: "::1",
    ports: [8000, 8001],
    metadata: raw.metadata,
    intervalMs: 500,
    checks: [
      {
        name: "alive",
        type: "tcp",
        rise: 0,
        fall: 2,
        timeoutMs: 250,
        host: "db.local",
        port: 99,
        config: { query: "ping" },
      },
    ],
  });
});

Deno.test.each([
  ["port", { port: 80 }, [80]],
  ["port in digits", { port: "80" }, [80]],
  ["ports", { ports: [81, "80"] }, [80, 81]],
  ["a single port as ports", { ports: 80 }, [80]],
  ["a single port in digits as ports", { ports: "22" }, [22]],
])("readService() takes %s", (_what, own, ports) => {
  const { port: _, ...rest } = web;
  assert.deepEqual(good(service({ ...rest, ...own })).ports, ports);
});

Deno.test.each([
  [0.2, 1_000],
  [2, 2_000],
  [60, 5_000],
])("readService() gives a probe at an interval of %d s a deadline of %d ms", (interval, timeoutMs) => {
  const { checks } = good(service({ ...web, checks: { interval, tcp: { rise: 1, fall: 1 } } }));
  assert.equal(checks[0]?.timeoutMs, timeoutMs);
});

Deno.test("readService() reads a fall of 0 as 1, which is what the predecessor does for it", () => {
  assert.equal(good(service({ ...web, checks: { interval: 1, tcp: { rise: 1, fall: 0 } } })).checks[0]?.fall, 1);
});

Deno.test("readService() freezes what it answers", () => {
  const value = good(service(structuredClone(web)));
  for (const part of [value, value.ports, value.checks, value.checks[0], value.checks[0]?.config, value.metadata]) {
    assert.ok(Object.isFrozen(part));
  }
});

Deno.test.each([
  ["a null as file", null, ": Cannot use the file as it must be a map: current value is null"],
  [
    "no port",
    { ...web, port: undefined },
    ": Missing key ports: it must be a port, or a list of ports (or port, a single one)",
  ],
  [
    "a port out of range",
    { ...web, port: 65536 },
    "port: Cannot use port as it must be an integer from 1 to 65535: current value is 65536",
  ],
  [
    "ports that are null",
    { ...web, ports: null },
    "ports: Cannot use ports as it must be an integer from 1 to 65535: current value is null",
  ],
  [
    "a bad name",
    { ...web, name: "a/b" },
    'name: Cannot use name as it must be a name of at most 255 letters, digits and _ . : -: current value is "a/b"',
  ],
  [
    "an interval of words",
    { ...web, checks: { interval: "soon" } },
    'checks.interval: Cannot use checks.interval as it must be a number of seconds from 0.01 to 86400: current value is "soon"',
  ],
  [
    "no interval",
    { ...web, checks: {} },
    "checks: Missing key checks.interval: it must be a number of seconds from 0.01 to 86400",
  ],
  [
    "no rise",
    { ...web, checks: { interval: 1, tcp: { fall: 1 } } },
    "checks.tcp: Missing key checks.tcp.rise: it must be an integer >= 0",
  ],
  [
    "a rise below 0",
    { ...web, checks: { interval: 1, tcp: { rise: -1, fall: 1 } } },
    "checks.tcp.rise: Cannot use checks.tcp.rise as it must be an integer >= 0: current value is -1",
  ],
  [
    "a check that is null",
    { ...web, checks: { interval: 1, tcp: null } },
    "checks.tcp: Cannot use checks.tcp as it must be a map: current value is null",
  ],
  [
    "checks that are a list",
    { ...web, checks: [] },
    "checks: Cannot use checks as it must be a map: current value is []",
  ],
  [
    "metadata that is no JSON",
    { ...web, metadata: { a: Infinity } },
    'metadata: Cannot use metadata as it must be a map of what JSON can say, at most 65536 characters: current value is {"a":Infinity}',
  ],
  [
    "metadata that is too long",
    { ...web, metadata: { a: "x".repeat(65_536) } },
    `metadata: Cannot use metadata as it must be a map of what JSON can say, at most 65536 characters: current value is {"a":"${
      "x".repeat(71)
    }...`,
  ],
  [
    "a host that is none",
    { ...web, host: "a b" },
    'host: Cannot use host as it must be a host name or an IP address: current value is "a b"',
  ],
])("readService() refuses %s", (_what, raw, wanted) => assert.equal(bad(service(raw)), wanted));

Deno.test("readService() leaves out unknown keys with a warning each, and reads the rest", () => {
  const { value, findings } = service({ ...web, prot: 1, zzz: 2, metdata: {} });
  assert.equal(value?.name, "web");
  assert.deepEqual(findings.map(({ severity, path, message, at }) => [severity, path.join("."), message, at]), [
    ["warning", "prot", "Unknown key prot, which is not used: did you mean port?", "key"],
    [
      "warning",
      "zzz",
      "Unknown key zzz, which is not used: known are checks, discovery, host, metadata, name, port, ports",
      "key",
    ],
    ["warning", "metdata", "Unknown key metdata, which is not used: did you mean metadata?", "key"],
  ]);
});

Deno.test("readService() passes on what objects have by nature as what it is: keys", () => {
  const raw = JSON.parse(
    '{"discovery":"z","port":1,"checks":{"interval":1,"constructor":{"rise":1,"fall":1,"toString":2}}}',
  );
  const { checks } = good(service(raw));
  assert.deepEqual(checks.map(({ name, config }) => [name, Object.entries(config)]), [["constructor", [[
    "toString",
    2,
  ]]]]);
});

Deno.test("readCluster() reads a cluster; a balancer's section may be empty", () => {
  const balancers = ["haproxy", "nginx"];
  const raw = { discovery: "zookeeper", name: "cache", meta_cluster: "stuff", haproxy: null, nginx: { port: 1 } };
  assert.deepEqual(good(readCluster(raw, { fileName: "x", balancers })), {
    ...CLUSTER_DEFAULTS,
    name: "cache",
    discovery: "zookeeper",
    metaCluster: "stuff",
    balancers: new Map<string, unknown>([["haproxy", {}], ["nginx", { port: 1 }]]),
  });
  const least = good(readCluster({ discovery: "zookeeper", haproxy: {} }, { fileName: "x", balancers: [] }));
  const balancer = new Map([["haproxy", {}]]);
  assert.deepEqual(least, { ...CLUSTER_DEFAULTS, name: "x", discovery: "zookeeper", balancers: balancer });
});

Deno.test("readCluster() reads what is believed of the registry, and who serves a cluster without members", () => {
  const { guard, defaultServers } = good(readCluster({
    discovery: "zookeeper",
    haproxy: {},
    on_empty: "keep",
    empty_grace: 1.5,
    min_nodes: 2,
    max_nodes: 500,
    max_shrink_percent: "50",
    shrink_grace: 30,
    default_servers: ["10.0.0.1:80", "[2001:db8::1]:80"],
  }, { fileName: "x", balancers: [] }));
  assert.deepEqual(guard, {
    onEmpty: "keep",
    emptyGraceMs: 1_500,
    minNodes: 2,
    maxNodes: 500,
    maxShrinkPercent: 50,
    shrinkGraceMs: 30_000,
  });
  assert.deepEqual(defaultServers.map(({ host, ip, port }) => [host, ip, port]), [
    ["10.0.0.1", "10.0.0.1", 80],
    ["2001:db8::1", "2001:db8::1", 80],
  ]);
});

Deno.test("readCluster() takes a section for a balancer only if there is such a balancer", () => {
  const { value, findings } = readCluster({ discovery: "z", haproxy: {}, nginx: {} }, { fileName: "x", balancers: [] });
  assert.deepEqual([...value?.balancers.keys() ?? []], ["haproxy"]);
  assert.match(
    findings[0]?.message ?? "",
    /^Unknown key nginx, which is not used: known are default_servers, discovery, /,
  );
});

Deno.test("readCluster() wants a section for at least one balancer", () => {
  const wanted = ": Missing key haproxy: a cluster must have a section for at least one balancer (haproxy, nginx)";
  assert.equal(bad(readCluster({ discovery: "z" }, { fileName: "x", balancers: ["nginx"] })), wanted);
  assert.equal(bad(readCluster({ discovery: "z", haproxi: {} }, { fileName: "x", balancers: ["nginx"] })), wanted);
});

Deno.test("readCluster() takes a balancer that is called as a key of its own for the key", () => {
  const balancers = ["name", "discovery"];
  assert.equal(good(readCluster({ discovery: "z", name: "n", haproxy: {} }, { fileName: "x", balancers })).name, "n");
});

Deno.test("readPluginFile() takes the type from the file, or else from its name", () => {
  const read = (raw: unknown) => good(readPluginFile(raw, { fileName: "east" }));
  assert.deepEqual(read({ type: "zookeeper", hosts: ["a"] }), {
    name: "east",
    type: "zookeeper",
    config: { hosts: ["a"] },
  });
  assert.deepEqual(read({ hosts: [] }), { name: "east", type: "east", config: { hosts: [] } });
  assert.deepEqual(read(null), { name: "east", type: "east", config: {} });
  assert.match(bad(readPluginFile(["a"], { fileName: "x" })), /must be a map/);
  assert.match(bad(readPluginFile({ type: "a b" }, { fileName: "x" })), /^type: Cannot use type/);
});

Deno.test("readHost() reads what a host is announced as, each key by itself", () => {
  assert.deepEqual(good(readHost({ name: "a.int", ip: "::1", peer_port: "1025" })), {
    name: "a.int",
    ip: "::1",
    peerPort: 1025,
  });
  assert.deepEqual(good(readHost({ ip: "10.0.0.1" })), { ip: "10.0.0.1" });
  assert.deepEqual(good(readHost({})), DEFAULT_HOST);
  assert.deepEqual(good(readHost(null)), DEFAULT_HOST);
  assert.match(bad(readHost({ name: "a b" })), /must be a host name/);
  assert.match(bad(readHost({ ip: "a.int" })), /must be an IPv4 or IPv6 address/);
  assert.match(bad(readHost({ peer_port: 0 })), /must be an integer from 1 to 65535/);
});

Deno.test("readService() drafts what plugins can judge of a service that cannot be used", () => {
  const raw = {
    port: 80_000,
    host: "b.int",
    checks: { http: { url: "/", rise: "x" }, other: { type: "tcp", query: "?" }, odd: { type: 7 }, none: 1 },
  };
  const { value, draft } = service(raw);
  assert.equal(value, undefined);
  assert.deepEqual([draft?.host, draft?.ports], ["b.int", [1]]);
  assert.deepEqual(draft?.checks.map(({ name, type, config }) => ({ name, type, config })), [
    { name: "http", type: "http", config: { url: "/" } },
    { name: "other", type: "tcp", config: { query: "?" } },
  ]);
  assert.equal(service({ port: 80 }).draft, undefined, "there is nothing for a plugin in it");
});

Deno.test("readCluster() takes a meta_cluster with nothing behind it for none", () => {
  const raw = { discovery: "zookeeper", meta_cluster: null, haproxy: {} };
  assert.equal(good(readCluster(raw, { fileName: "x", balancers: [] })).metaCluster, undefined);
});

Deno.test("readCluster() drafts what balancers can judge of a cluster that cannot be used", () => {
  const { value, draft } = readCluster({ haproxy: { prot: 80 }, edge: 7 }, { fileName: "x", balancers: ["edge"] });
  assert.equal(value, undefined);
  assert.deepEqual([...draft?.balancers ?? []], [["haproxy", { prot: 80 }]]);
});

Deno.test("readSettings() reads the isolation, worker unless told", () => {
  assert.deepEqual(good(readSettings({ isolation: "shared" })), { ...DEFAULT_SETTINGS, isolation: "shared" });
  assert.deepEqual(good(readSettings({})), DEFAULT_SETTINGS);
  assert.deepEqual(good(readSettings(null)), DEFAULT_SETTINGS);
  assert.match(bad(readSettings({ isolation: "process" })), /must be worker or shared/);
});

Deno.test("readSettings() reads how changes of members are joined, in seconds", () => {
  assert.deepEqual(good(readSettings({ updates: { quiet: 0.2 } })).updates, { quietMs: 200, maxMs: 500 });
  assert.deepEqual(good(readSettings({ updates: { quiet: 0, max: 0 } })).updates, { quietMs: 0, maxMs: 0 });
  assert.match(bad(readSettings({ updates: { quiet: 2 } })), /quiet must be <= max: current values are 2 and 0.5/);
  assert.match(bad(readSettings({ updates: { max: 61 } })), /updates.max/);
});

Deno.test("isName() accepts what can be a path component and the name of a section, and nothing else", () => {
  for (const name of ["a", "web-1.x", "api_v2", "a:b", "..a", "x".repeat(255)]) assert.ok(isName(name), name);
  for (const name of ["", ".", "..", "a/b", "a b", "a\n", "é", "a\0", "x".repeat(256), "$(id)", "*"]) {
    assert.ok(!isName(name), name);
  }
});

/** A validator that, like many, names one unknown key at a time, and only then looks at the others. */
function oneAtATime(known: readonly string[]): (value: unknown) => SchemaResult<object> {
  return (value) => {
    const unknown = Object.keys(value as object).find((key) => !known.includes(key));
    return unknown === undefined
      ? { value: value as object }
      : { issues: [{ message: `no ${unknown}`, path: [unknown], unknownKey: { known } }] };
  };
}

Deno.test("validateKnown() takes unknown keys away until none is left", () => {
  const { value, findings } = validateKnown({ a: 1, bb: 2, c: 3, d: 4 }, oneAtATime(["a", "d"]));
  assert.deepEqual(value, { a: 1, d: 4 });
  assert.deepEqual(findings.map(({ path, severity }) => [path[0], severity]), [["bb", "warning"], ["c", "warning"]]);
});

Deno.test("validateKnown() takes keys away deep inside, and changes nothing of what it was given", () => {
  const given = Object.freeze({ list: Object.freeze([Object.freeze({ a: 1, x: 2 })]), b: 3 });
  const { value } = validateKnown(given, (value): SchemaResult<unknown> => {
    const inner = (value as typeof given).list[0];
    return inner !== undefined && Object.hasOwn(inner, "x")
      ? { issues: [{ message: "x", path: [{ key: "list" }, 0, "x"], unknownKey: { known: ["a"] } }] }
      : { value };
  });
  assert.deepEqual(value, { list: [{ a: 1 }], b: 3 });
});

Deno.test("validateKnown() does not go round for ever with a validator that is never content", () => {
  const never = (path: readonly string[]) => (): SchemaResult<never> => ({
    issues: [{ message: "never", path, unknownKey: { known: [] } }],
  });
  for (const path of [[], ["b"], ["a", "b"]]) {
    const { value, findings } = validateKnown({ a: 1 }, never(path));
    assert.equal(value, undefined);
    assert.deepEqual(findings.map(({ severity, message }) => [severity, message]), [["error", "never"]]);
  }
});

Deno.test("validateKnownAsync() answers what validateKnown() does", async () => {
  const names = fc.uniqueArray(fc.constantFrom(..."abcdefgh"), { maxLength: 8 });
  await fc.assert(fc.asyncProperty(names, names, async (keys, known) => {
    const value = Object.fromEntries(keys.map((key) => [key, 1]));
    const sync = validateKnown(value, oneAtATime(known));
    const async = await validateKnownAsync(value, (given) => Promise.resolve(oneAtATime(known)(given)));
    assert.deepEqual(async, sync);
    assert.deepEqual(Object.keys(sync.value ?? {}), keys.filter((key) => known.includes(key)));
  }));
});

Deno.test("the readers never throw, and give either a value or an error, whatever the file says", () => {
  const keys = [
    "discovery",
    "port",
    "ports",
    "checks",
    "interval",
    "rise",
    "name",
    "haproxy",
    "type",
    "version",
    "root",
    "__proto__",
  ];
  const anything = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, 1, "a", "1", true, "zookeeper", NaN, Infinity),
      tie("map"),
      tie("list"),
    ),
    map: fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string({ maxLength: 3 })), tie("value"), { maxKeys: 5 }),
    list: fc.array(tie("value"), { maxLength: 3 }),
  })).value;
  fc.assert(
    fc.property(anything, (raw) => {
      const all = [
        service(raw),
        readCluster(raw, { fileName: "x", balancers: ["a"] }),
        readPluginFile(raw, { fileName: "x" }),
        readHost(raw),
        readSettings(raw),
        readLogging(raw),
      ];
      for (const { value, findings } of all) {
        assert.equal(value === undefined, findings.some(({ severity }) => severity === "error"));
      }
    }),
    { numRuns: 1_000 },
  );
});
