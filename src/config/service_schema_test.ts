import assert from "node:assert/strict";
import { bad, good } from "../../tests/support/checked.ts";
import type { Checked } from "../kernel/known_keys.ts";
import { onlySource } from "../model/registry_source.ts";
import { readService } from "./service_schema.ts";

const web = {
  discovery: "zookeeper",
  port: 8000,
  checks: { interval: 2, http: { uri: "/health", rise: 2, fall: 3 } },
};

function service(raw: unknown): Checked<NonNullable<ReturnType<typeof readService>["value"]>> {
  return readService(raw, { fileName: "web" });
}

Deno.test("readService() reads a service, and passes keys that are not the host's to the plugin", () => {
  assert.deepEqual(good(service(web)), {
    name: "web",
    sources: [onlySource("zookeeper")],
    host: "127.0.0.1",
    ports: [8000],
    metadata: {},
    intervalMs: 2_000,
    unknownGraceMs: 60_000,
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
    sources: [onlySource("other")],
    host: "::1",
    ports: [8000, 8001],
    metadata: raw.metadata,
    intervalMs: 500,
    unknownGraceMs: 60_000,
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
])("readService() accepts %s", (_what, own, ports) => {
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

Deno.test("readService() reads a fall of 0 as 1, as in 1.0", () => {
  assert.equal(good(service({ ...web, checks: { interval: 1, tcp: { rise: 1, fall: 0 } } })).checks[0]?.fall, 1);
});

Deno.test("readService() reads labels as strings, sorted by name, and rejects a weight above 256", () => {
  const { weight, labels } = good(service({ ...web, weight: 256, labels: { zone: 1, az: "a", spare: true } }));
  assert.equal(weight, 256);
  assert.equal(JSON.stringify(labels), '{"az":"a","spare":"true","zone":"1"}');
  assert.match(bad(service({ ...web, weight: 257 })), /weight/);
  assert.match(bad(service({ ...web, labels: { az: ["a"] } })), /labels/);
});

Deno.test("readService() freezes its result", () => {
  const value = good(service(structuredClone(web)));
  for (const part of [value, value.ports, value.checks, value.checks[0], value.checks[0]?.config, value.metadata]) {
    assert.ok(Object.isFrozen(part));
  }
});

Deno.test.each([
  ["a null as file", null, ": Cannot use the file: must be a map; current value is null"],
  [
    "no port",
    { ...web, port: undefined },
    ": Missing key ports: must be a port or a list of ports",
  ],
  [
    "a port out of range",
    { ...web, port: 65536 },
    "port: Cannot use port: must be an integer from 1 to 65535; current value is 65536",
  ],
  [
    "ports that are null",
    { ...web, ports: null },
    "ports: Cannot use ports: must be an integer from 1 to 65535; current value is null",
  ],
  [
    "a bad name",
    { ...web, name: "a/b" },
    'name: Cannot use name: must be a name of at most 255 letters, digits and _ . : -; current value is "a/b"',
  ],
  [
    "an interval of words",
    { ...web, checks: { interval: "soon" } },
    'checks.interval: Cannot use checks.interval: must be a duration from 10ms to 1d, such as 2s or 500ms, or a number of seconds; current value is "soon"',
  ],
  [
    "no interval",
    { ...web, checks: {} },
    "checks: Missing key checks.interval: must be a duration from 10ms to 1d, such as 2s or 500ms, or a number of seconds",
  ],
  [
    "no rise",
    { ...web, checks: { interval: 1, tcp: { fall: 1 } } },
    "checks.tcp: Missing key checks.tcp.rise: must be an integer >= 0",
  ],
  [
    "a negative rise",
    { ...web, checks: { interval: 1, tcp: { rise: -1, fall: 1 } } },
    "checks.tcp.rise: Cannot use checks.tcp.rise: must be an integer >= 0; current value is -1",
  ],
  [
    "a check that is null",
    { ...web, checks: { interval: 1, tcp: null } },
    "checks.tcp: Cannot use checks.tcp: must be a map; current value is null",
  ],
  [
    "checks that are a list",
    { ...web, checks: [] },
    "checks: Cannot use checks: must be a map; current value is []",
  ],
  [
    "metadata that is not JSON",
    { ...web, metadata: { a: Infinity } },
    'metadata: Cannot use metadata: must be a map of JSON values, at most 65536 characters; current value is {"a":Infinity}',
  ],
  [
    "metadata that is too long",
    { ...web, metadata: { a: "x".repeat(65_536) } },
    `metadata: Cannot use metadata: must be a map of JSON values, at most 65536 characters; current value is {"a":"${
      "x".repeat(71)
    }...`,
  ],
  [
    "an invalid host",
    { ...web, host: "a b" },
    'host: Cannot use host: must be a host name or an IP address; current value is "a b"',
  ],
])("readService() rejects %s", (_what, raw, wanted) => assert.equal(bad(service(raw)), wanted));

Deno.test("readService() leaves out unknown keys with a warning each, and reads the rest", () => {
  const { value, findings } = service({ ...web, prot: 1, zzz: 2, metdata: {} });
  assert.equal(value?.name, "web");
  assert.deepEqual(findings.map(({ severity, path, message, at }) => [severity, path.join("."), message, at]), [
    ["warning", "prot", "Unknown key prot is ignored: did you mean port?", "key"],
    [
      "warning",
      "zzz",
      "Unknown key zzz is ignored: known keys are checks, discovery, host, labels, metadata, name, port, ports, priority, weight",
      "key",
    ],
    ["warning", "metdata", "Unknown key metdata is ignored: did you mean metadata?", "key"],
  ]);
});

Deno.test("readService() passes on keys that objects inherit as ordinary keys", () => {
  const raw = JSON.parse(
    '{"discovery":"z","port":1,"checks":{"interval":1,"constructor":{"rise":1,"fall":1,"toString":2}}}',
  );
  const { checks } = good(service(raw));
  assert.deepEqual(checks.map(({ name, config }) => [name, Object.entries(config)]), [["constructor", [[
    "toString",
    2,
  ]]]]);
});

Deno.test("readService() returns the parts of an invalid service that plugins can validate", () => {
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

Deno.test("readService() rejects a check next to checks, whatever its name", () => {
  const beside = { discovery: "zookeeper", port: 1, checks: { interval: 2 }, http: { uri: "/", rise: 1, fall: 1 } };
  const { value, findings } = readService(beside, { fileName: "web", plugins: ["http", "name"] });
  assert.equal(value, undefined);
  assert.deepEqual(findings.map(({ severity, path, message }) => [severity, path, message]), [
    ["error", ["http"], "Cannot use http here: http is a check and belongs under checks"],
  ]);
  const named = readService({ ...beside, http: undefined, name: "own" }, { fileName: "web", plugins: ["name"] });
  assert.equal(named.findings.some(({ severity }) => severity === "error"), false);
});

Deno.test.each(["htpp", "web-db"])(
  "readService() rejects the check %s beside checks, which no plugin is called",
  (name) => {
    const beside = {
      discovery: "zookeeper",
      port: 1,
      checks: { interval: 2 },
      [name]: { type: "tcp", rise: 1, fall: 1 },
    };
    const { value, findings } = readService(beside, { fileName: "web", plugins: ["http", "tcp"] });
    assert.equal(value, undefined);
    assert.equal(findings[0]?.message, `Cannot use ${name} here: ${name} is a check and belongs under checks`);
  },
);

Deno.test("readService() rejects a key of checks that is beside it", () => {
  const checks = { interval: 2, tcp: { rise: 1, fall: 1 } };
  const beside = { discovery: "zookeeper", port: 1, checks, unknown_grace: 300, interval: 1 };
  const { value, findings } = readService(beside, { fileName: "web", plugins: ["tcp"] });
  assert.equal(value, undefined);
  assert.deepEqual(findings.map(({ severity, message }) => `${severity}: ${message}`), [
    "error: Cannot use unknown_grace here: unknown_grace belongs under checks",
    "error: Cannot use interval here: interval belongs under checks",
  ]);
});

Deno.test("readService() names the right place of a check's key that is in checks itself", () => {
  const checks = { interval: 2, timeout: 3, tcp: { rise: 1, fall: 1 } };
  const { value, findings } = service({ discovery: "zookeeper", port: 1, checks });
  assert.equal(value, undefined);
  assert.deepEqual(findings.map(({ path, message }) => [path.join("."), message]), [
    ["checks.timeout", "Cannot use checks.timeout: timeout belongs in a single check; use checks.NAME.timeout"],
  ]);
});

Deno.test("readService() reports a missing port though another key is invalid", () => {
  const { findings } = readService({ discovery: "zookeeper", checks: { interval: "soon" } }, { fileName: "web" });
  assert.match(findings.map(({ message }) => message).join("\n"), /checks\.interval[^]*Missing key ports/);
});

Deno.test("readService() reads the section of its discovery, warns of that of another, and still finds a check", () => {
  const names = { fileName: "web", plugins: ["http", "file"], discovery: ["consul", "zookeeper", "file"] };
  const raw = { discovery: "consul", port: 1, consul: { ttl: 5 }, zookeeper: null, checks: { interval: 1 } };
  const { value, findings } = readService(raw, names);
  assert.deepEqual(value?.sources[0]?.options, { ttl: 5 });
  assert.ok(
    findings.some(({ path, message }) =>
      path[0] === "zookeeper" && message === "Section zookeeper is ignored: discovery is consul"
    ),
  );
  const misplaced = readService({ ...raw, discovery: "file", file: { path: "/x" } }, names);
  assert.ok(misplaced.findings.some(({ message }) => message.startsWith("Cannot use file here: file is a check")));
});
