import assert from "node:assert/strict";
import fc from "fast-check";
import type { PluginInstance } from "../plugin/instance.ts";
import { type Action, groupInstances, reconcile, type WorkerSpec } from "./reconcile.ts";

function instance(
  id: string,
  { kind = "check", module = "builtin:check/http", config = {} }: {
    kind?: "check" | "discovery";
    module?: string;
    config?: unknown;
  } = {},
): PluginInstance {
  return { id, kind, module, config, scope: { instance: id }, granted: { net: [`${id}:80`] } };
}

const HTTP_A = instance("check a/http");
const HTTP_B = instance("check b/http");
const TCP_A = instance("check a/tcp", { module: "builtin:check/tcp" });
const ZOO = instance("discovery zoo", { kind: "discovery", module: "builtin:discovery/zookeeper" });
const ZOO_2 = instance("discovery zoo2", { kind: "discovery", module: "builtin:discovery/zookeeper" });
const ALL = [ZOO_2, HTTP_B, TCP_A, HTTP_A, ZOO];

/** Formats groups as `key: ids`. */
function outline(specs: readonly WorkerSpec[]): readonly string[] {
  return specs.map(({ key, instances }) => `${key}: ${instances.map(({ id }) => id).join(", ")}`);
}

Deno.test("groupInstances() gives each instance a worker of its own", () =>
  assert.deepEqual(outline(groupInstances(ALL, "worker")), [
    "check a/http: check a/http",
    "check a/tcp: check a/tcp",
    "check b/http: check b/http",
    "discovery zoo: discovery zoo",
    "discovery zoo2: discovery zoo2",
  ]));

Deno.test("groupInstances() gives a shared worker of a third-party plugin a key that outlives its versions", () => {
  const [spec] = groupInstances([{ ...HTTP_A, module: "data:text/javascript,", plugin: "check/memcached" }], "shared");
  assert.equal(spec?.key, "shared check/memcached");
});

Deno.test("groupInstances() shares a worker among the checks of one plugin, never among discoveries", () =>
  assert.deepEqual(outline(groupInstances(ALL, "shared")), [
    "discovery zoo: discovery zoo",
    "discovery zoo2: discovery zoo2",
    "shared builtin:check/http: check a/http, check b/http",
    "shared builtin:check/tcp: check a/tcp",
  ]));

Deno.test("groupInstances() keeps what each instance needs", () => {
  const [spec] = groupInstances([HTTP_A], "worker");
  const { kind: _kind, module: _module, ...needs } = HTTP_A;
  assert.deepEqual(spec, { key: "check a/http", module: HTTP_A.module, kind: "check", instances: [needs] });
});

Deno.test("groupInstances() does not depend on the order", () => {
  for (const isolation of ["worker", "shared"] as const) {
    const groups = groupInstances(ALL, isolation);
    fc.assert(fc.property(fc.shuffledSubarray(ALL, { minLength: ALL.length }), (shuffled) => {
      assert.deepEqual(groupInstances(shuffled, isolation), groups);
    }));
  }
});

/** What runs after the actions. */
function carryOut(actions: readonly Action[], running: ReadonlyMap<string, WorkerSpec>): Map<string, WorkerSpec> {
  const after = new Map(running);
  for (const action of actions) {
    if (action.do === "stop") assert.ok(after.delete(action.key), "only running workers are stopped");
    else {
      assert.equal(
        after.has(action.spec.key),
        action.do === "replace",
        "running workers are replaced, others started",
      );
      after.set(action.spec.key, action.spec);
    }
  }
  return after;
}

const byKey = (specs: readonly WorkerSpec[]) => new Map(specs.map((spec) => [spec.key, spec]));

Deno.test("reconcile() starts, replaces and stops only what has changed", () => {
  const running = byKey(groupInstances([HTTP_A, TCP_A, ZOO], "worker"));
  const edited = instance("check a/http", { config: { uri: "/new" } });
  const actions = reconcile(groupInstances([edited, HTTP_B, ZOO], "worker"), running);
  assert.deepEqual(actions.map((action) => `${action.do} ${action.do === "stop" ? action.key : action.spec.key}`), [
    "replace check a/http",
    "start check b/http",
    "stop check a/tcp",
  ]);
});

Deno.test("reconcile() replaces a worker when any part of its spec changes", () => {
  const running = byKey(groupInstances([HTTP_A], "worker"));
  for (
    const change of [
      { config: { a: 1 } },
      { granted: {} },
      { module: "builtin:check/tcp" },
      { scope: { instance: HTTP_A.id, target: "a:1" } },
    ]
  ) {
    const actions = reconcile(groupInstances([{ ...HTTP_A, ...change }], "worker"), running);
    assert.deepEqual(actions.map((action) => action.do), ["replace"], JSON.stringify(change));
  }
});

Deno.test("reconcile() leads from any state to the desired one, and then does nothing", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const instances = fc.uniqueArray(
    fc.record({
      name,
      kind: fc.constantFrom("check" as const, "discovery" as const),
      module: fc.constantFrom("builtin:x/1", "builtin:x/2"),
      config: fc.jsonValue({ maxDepth: 1 }),
    }).map(({ name, kind, ...rest }) => instance(`${kind} ${name}`, { kind, ...rest })),
    { selector: ({ id }) => id, maxLength: 6 },
  );
  const specs = fc.tuple(instances, fc.constantFrom("worker" as const, "shared" as const))
    .map(([instances, isolation]) => groupInstances(instances, isolation));
  fc.assert(fc.property(specs, specs, (before, wanted) => {
    const running = byKey(before);
    const after = carryOut(reconcile(wanted, running), running);
    const sorted = [...after.values()].toSorted((a, b) => a.key < b.key ? -1 : 1);
    assert.equal(JSON.stringify(sorted), JSON.stringify(wanted));
    assert.deepEqual(reconcile(wanted, after), []);
    for (const spec of wanted) {
      assert.ok(spec.kind === "check" || spec.instances.length === 1, "connections are never shared");
      assert.equal(new Set(spec.instances.map(({ id }) => id)).size, spec.instances.length);
    }
  }));
});
