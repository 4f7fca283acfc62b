import assert from "node:assert/strict";
import fc from "fast-check";
import { HaproxyModel } from "../../../tests/support/haproxy_model.ts";
import { wantedOf } from "../../../tests/support/balancer_case.ts";
import type { Node } from "../../../src/model/node.ts";
import haproxy from "./mod.ts";
import { canonicalAddress } from "../../../src/model/canonical_address.ts";
import { plan } from "./plan.ts";
import { render } from "./render.ts";
import type { HaproxyWanted } from "./config.ts";

/** Backends of all kinds, by their lines. */
const KINDS: Record<string, Record<string, unknown>> = {
  plain: { port: 8000 },
  checked: { port: 8001, server_options: "check inter 1s" },
  hashed: { backend: ["mode http", "balance uri", "hash-type consistent"] },
  random: { backend: ["balance random", "server spare 10.9.9.9:80 id 7"] },
  fixed: { backend: ["balance static-rr"] },
};

const node = fc.record({
  host: fc.constantFrom("a.int", "b.int", "c.int", "d.int", "e.int", "2001:db8::5"),
  ip: fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:DB8::1"),
  port: fc.constantFrom(80, 81),
  metadata: fc.constant({}),
});

const membership = fc.record(
  Object.fromEntries(Object.keys(KINDS).map((name) => [name, fc.array(node, { maxLength: 6 })])),
);

/** What someone may do to a server by hand. */
const meddling = fc.array(
  fc.record({
    nth: fc.nat(40),
    how: fc.constantFrom("maint", "drain", "weigh", "moved", "deleted", "stopped", "busy", "intruder"),
  }),
  { maxLength: 6 },
);

function wants(nodes: Record<string, readonly Node[]>): HaproxyWanted {
  return wantedOf({
    balancer: { defaults: ["mode http"] },
    clusters: Object.entries(KINDS).map(([name, section]) => ({ name, haproxy: section, nodes: nodes[name] ?? [] })),
  });
}

async function carryOut(model: HaproxyModel, wanted: HaproxyWanted) {
  const sources = haproxy.sources(wanted.config);
  const rendered = render(wanted);
  const look = async () =>
    haproxy.observe(await model.observe(sources, haproxy.pid, new AbortController().signal), wanted.config);
  const steps = plan(wanted, rendered, await look(), { reload: true });
  const outcomes = await model.execute(steps);
  assert.deepEqual(outcomes.filter((outcome) => !outcome.ok), []);
  return { steps, next: plan(wanted, rendered, await look(), { reload: true }) };
}

function meddle(model: HaproxyModel, deeds: readonly { nth: number; how: string }[]): void {
  const backends = [...model.process?.backends.values() ?? []];
  for (const { nth, how } of deeds) {
    const backend = backends[nth % backends.length];
    const [name, server] = [...backend?.servers ?? []].filter(([name]) => name !== "spare")[nth % 5] ?? [];
    if (how === "intruder") backend?.servers.set("intruder:1", { ...intruder(), id: 500_000 + nth });
    if (name === undefined || server === undefined) continue;
    if (how === "maint") server.maintenance = true;
    if (how === "drain") server.draining = true;
    if (how === "weigh") server.weight = 0;
    if (how === "moved") server.address = "10.66.66.66";
    if (how === "deleted") backend?.servers.delete(name);
    if (how === "stopped" && server.check === "running") server.check = "stopped";
    if (how === "busy") server.busy = true;
  }
}

function intruder() {
  return {
    address: "10.6.6.6",
    port: 80,
    maintenance: false,
    draining: false,
    weight: 1,
    givenWeight: 1,
    check: "none",
    down: false,
    busy: false,
    changedAt: 0,
  } as const;
}

/** The names that a backend should serve: the desired ones, without duplicates. */
function expected(nodes: readonly Node[]): readonly string[] {
  const chosen = new Map<string, string>();
  for (const { host, port, ip } of nodes.toSorted((a, b) => a.ip < b.ip ? -1 : 1)) {
    const name = `${host}:${port}`;
    if (!chosen.has(name)) chosen.set(name, `${name} ${canonicalAddress(ip)}:${port}`);
  }
  return [...chosen.values()].toSorted();
}

function serving(model: HaproxyModel, backend: string): readonly string[] {
  return [...model.process?.backends.get(backend)?.servers ?? []]
    .filter(([name, server]) => name !== "spare" && !server.maintenance && !server.draining && server.weight === 1)
    .map(([name, { address, port }]) => `${name} ${canonicalAddress(address)}:${port}`).toSorted();
}

Deno.test("plan() brings a HAProxy to any desired membership in one go, whatever was done to it by hand", () =>
  fc.assert(fc.asyncProperty(membership, meddling, membership, async (before, deeds, after) => {
    const model = new HaproxyModel();
    await carryOut(model, wants(before));
    meddle(model, deeds);
    const wanted = wants(after);
    const { next } = await carryOut(model, wanted);
    for (const name of Object.keys(KINDS)) assert.deepEqual(serving(model, name), expected(after[name] ?? []), name);
    // What is left waits: the file, and servers that cannot be deleted while they have connections.
    for (const step of next) {
      if (step.do === "command") assert.match(step.command, /^del server /);
      else assert(step.do === "install" && step.when === "soon", JSON.stringify(step));
    }
    await model.execute(next);
    assert.equal(model.file, render(wanted).text);
    for (const [, { servers }] of model.process?.backends ?? []) {
      const ids = [...servers.values()].map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
    }
  })));

Deno.test("plan() opens a frontend that was disabled, and reloads for one that was shut down", async () => {
  const model = new HaproxyModel();
  const wanted = wants({});
  await carryOut(model, wanted);
  model.command("disable frontend plain");
  const { steps, next } = await carryOut(model, wanted);
  assert.deepEqual(steps.map((step) => step.do === "command" ? step.command : step.do), ["enable frontend plain"]);
  assert.deepEqual(next, []);
  model.command("shutdown frontend checked");
  const [reload] = (await carryOut(model, wanted)).steps;
  assert(reload?.do === "reload");
  assert.equal(reload.reason, "frontend checked was shut down");
  assert.deepEqual(new Set(model.process?.frontends.values()), new Set(["OPEN"]));
});

Deno.test("plan() never reloads for member changes in a backend that accepts them at run time", () =>
  fc.assert(fc.asyncProperty(membership, membership, async (before, after) => {
    const model = new HaproxyModel();
    await carryOut(model, wants({ ...before, fixed: [] }));
    const pid = model.process?.pid;
    const { steps } = await carryOut(model, wants({ ...after, fixed: [] }));
    assert(steps.every((step) => step.do !== "reload"));
    assert.equal(model.process?.pid, pid);
  })));

Deno.test("plan() disables no server before all new servers are added", () =>
  fc.assert(fc.asyncProperty(membership, membership, async (before, after) => {
    const model = new HaproxyModel();
    await carryOut(model, wants({ ...before, fixed: [] }));
    const { steps } = await carryOut(model, wants({ ...after, fixed: [] }));
    const commands = steps.flatMap((step) => step.do === "command" ? [step.command] : []);
    const lastCome = commands.findLastIndex((command) => /^(?:add|enable) server /.test(command));
    const firstGone = commands.findIndex((command) => / state (?:maint|drain)$/.test(command));
    assert(firstGone === -1 || lastCome < firstGone, commands.join("\n"));
  })));

Deno.test("plan() without a reload ignores what does not run yet, and writes nothing that does not run", () =>
  fc.assert(fc.asyncProperty(membership, membership, async (before, after) => {
    const model = new HaproxyModel();
    await carryOut(model, wants(before));
    const wanted = wants(after);
    const more = { ...wanted, clusters: [...wanted.clusters, { ...wanted.clusters[0]!, name: "new" }] };
    const sources = haproxy.sources(wanted.config);
    const seen = await model.observe(sources, haproxy.pid, new AbortController().signal);
    const steps = plan(more, render(more), haproxy.observe(seen, wanted.config), { reload: false });
    assert(steps.every((step) => step.do === "command" && !step.command.includes(" new/")));
    assert.deepEqual((await model.execute(steps)).filter((outcome) => !outcome.ok), []);
  })));

Deno.test("canonicalAddress() spells an address in one way", () => {
  assert.equal(canonicalAddress("10.0.0.1"), "10.0.0.1");
  assert.equal(canonicalAddress("2001:DB8:0:0::1"), canonicalAddress("2001:db8::1"));
  assert.equal(canonicalAddress("::"), "0:0:0:0:0:0:0:0");
  assert.equal(canonicalAddress("::ffff:10.0.0.1"), canonicalAddress("::ffff:a00:1"));
  assert.notEqual(canonicalAddress("::1"), canonicalAddress("1::"));
});
