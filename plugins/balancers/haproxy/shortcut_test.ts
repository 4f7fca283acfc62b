import assert from "node:assert/strict";
import fc from "fast-check";
import type { Node, Step } from "../../../mod.ts";
import { differenceOf } from "../../../src/balance/difference.ts";
import { type CaseCluster, wantedOf } from "../../../tests/support/balancer_case.ts";
import { HaproxyModel } from "../../../tests/support/haproxy_model.ts";
import type { HaproxyWanted } from "./config.ts";
import haproxy from "./mod.ts";
import type { Observed } from "./observe.ts";
import { shortcut } from "./shortcut.ts";

const NEVER = new AbortController().signal;

/** The desired state of a cluster and its members. */
function desired(nodes: readonly (string | Node)[], section: CaseCluster["haproxy"] = {}, version = "2.6.12") {
  return wantedOf({
    version,
    balancer: { defaults: ["mode http"] },
    clusters: [{ name: "web", haproxy: section, nodes }],
  });
}

/** A HAProxy that serves the desired state, and what is observed of it. */
async function serving(wanted: HaproxyWanted): Promise<{ readonly model: HaproxyModel; readonly observed: Observed }> {
  const model = new HaproxyModel();
  model.programVersion = wanted.version as never;
  model.file = [...haproxy.render(wanted).files.values()][0]?.text;
  model.boot();
  // What its file alone does not achieve.
  await model.execute(commands(wanted, await observe(model, wanted)));
  return { model, observed: await observe(model, wanted) };
}

/** What a plan has to do about members. */
function commands(wanted: HaproxyWanted, observed: Observed): readonly Step[] {
  return haproxy.plan(wanted, haproxy.render(wanted), observed, { reload: true }).filter((step) =>
    step.do !== "install"
  );
}

async function observe(model: HaproxyModel, { config }: HaproxyWanted): Promise<Observed> {
  return haproxy.observe(await model.observe(haproxy.sources(config), undefined, NEVER), config);
}

async function stepsFrom(
  before: readonly (string | Node)[],
  now: readonly (string | Node)[],
  { section, version }: { readonly section?: CaseCluster["haproxy"]; readonly version?: string } = {},
): Promise<readonly string[] | undefined> {
  const [first, next] = [desired(before, section, version), desired(now, section, version)];
  const { observed } = await serving(first);
  const change = differenceOf(first, next);
  assert(change !== undefined);
  return shortcut(change, observed, {})?.steps.map(({ command }) => command);
}

const A = "a.int:80 10.0.0.1", B = "b.int:80 10.0.0.2";

Deno.test("shortcut() changes what differs, and reads back that and which process answers", async () => {
  const id = /id (\d+)/.exec((await stepsFrom([A], [A, B]))?.[0] ?? "")?.[1];
  assert.deepEqual(await stepsFrom([A], [A, B]), [
    `add server web/b.int:80 10.0.0.2:80 id ${id}`,
    "set server web/b.int:80 state ready",
    `show stat -1 4 ${id}`,
    "show info",
  ]);
  assert.deepEqual((await stepsFrom([A, B], [A]))?.slice(0, 2), [
    "set server web/b.int:80 state maint",
    "del server web/b.int:80",
  ]);
  assert.deepEqual((await stepsFrom([A], ["a.int:80 10.0.0.7"]))?.[0], "set server web/a.int:80 addr 10.0.0.7 port 80");
});

Deno.test("shortcut() and plan() give a node its requests before another one loses them: no request finds no server", async () => {
  const node = (host: string, state?: "drain"): Node => ({
    host,
    ip: "10.0.0.1",
    port: 80,
    metadata: {},
    ...state !== undefined && { state },
  });
  const [before, now] = [[node("a.int"), node("b.int", "drain")], [node("a.int", "drain"), node("b.int")]];
  const order = ["set server web/b.int:80 state ready", "set server web/a.int:80 state drain"];
  assert.deepEqual((await stepsFrom(before, now))?.slice(0, 2), order);
  const next = desired(now);
  const { observed } = await serving(desired(before));
  const planned = commands(next, observed).map((step) => step.do === "command" ? step.command : "");
  assert.deepEqual(planned.filter((command) => order.includes(command)), order);
});

Deno.test("shortcut() leaves to a look what needs a reload, a twin, or an older HAProxy", async () => {
  assert.equal(await stepsFrom([A], [A, B], { version: "2.4.0" }), undefined);
  assert.equal(await stepsFrom([A], [A, B], { section: { backend: ["balance static-rr"] } }), undefined);
  assert.equal(await stepsFrom([A], [A, B], { section: { server_options: "check tcp-ut 5s" } }), undefined);
  assert.equal(await stepsFrom([A], [A, B], { section: { server_options: "check", panic_threshold: 50 } }), undefined);
});

Deno.test("shortcut() leaves to a look so many changes that single reads cost more, unless most servers stay", async () => {
  const nodes = (count: number) =>
    Array.from({ length: count }, (_, i) => `n${1_000 + i}.int:80 10.1.${i >> 8}.${i & 255}`);
  assert.equal((await stepsFrom([A], [A, ...nodes(64)]))?.length, 3 * 64 + 1);
  assert.equal(await stepsFrom([A], [A, ...nodes(65)]), undefined);
  assert.equal((await stepsFrom([A, ...nodes(300)], [A, ...nodes(365)]))?.length, 3 * 65 + 1);
});

Deno.test("shortcut() ignores a node that is not a member", async () => {
  const wild = { host: "evil.int", ip: "0.0.0.0", port: 80, metadata: {} };
  assert.deepEqual(await stepsFrom([A], [A, wild]), []);
  const section = { backend: ["server b.int:80 10.0.0.9:80"] };
  assert.deepEqual(await stepsFrom([A], [A, B], { section }), []);
  assert.deepEqual(await stepsFrom([A, B], [A], { section }), []);
});

/** Carries a shortcut out; returns the commands, and what is observed then. */
async function take(model: HaproxyModel, observed: Observed, before: HaproxyWanted, now: HaproxyWanted) {
  const change = differenceOf(before, now);
  const found = change && shortcut(change, observed, {});
  if (found === undefined) return undefined;
  const outcomes = await model.execute(found.steps);
  assert(outcomes.every(({ ok }) => ok), JSON.stringify(outcomes.filter(({ ok }) => !ok)));
  const reads = outcomes.flatMap((outcome) =>
    outcome.ok && outcome.step.do === "command" && outcome.step.isRead === true ? [outcome.output] : []
  );
  return { commands: found.steps.map(({ command }) => command), observed: found.observed(reads) };
}

Deno.test("shortcut() knows whether a leaving server was deleted or kept by its connections", async () => {
  const [both, one] = [desired([A, B]), desired([A])];
  for (const busy of [false, true]) {
    const { model, observed } = await serving(both);
    model.server("web/b.int:80").busy = busy;
    const left = await take(model, observed, both, one);
    assert(left !== undefined);
    assert.deepEqual(model.serving("web"), ["a.int:80 10.0.0.1:80"]);
    const back = await take(model, left.observed, one, both);
    assert.match(
      back?.commands[0] ?? "",
      busy ? /^set server web\/b.int:80 state ready$/ : /^add server web\/b.int:80 /,
    );
    assert.equal(model.serving("web").length, 2);
  }
});

Deno.test("shortcut() leads where a plan has nothing to do, whatever changes, and knows the resulting servers", async () => {
  const share = fc.constantFrom({}, { weight: 3 }, { weight: 0 }, { state: "drain" }, { weight: 5, state: "drain" });
  const members = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom("10.0.0.1", "10.0.0.2"), share));
  const section = fc.constantFrom({}, { server_options: "check" }, { backend: ["balance random"] });
  const version = fc.constantFrom("2.6.12", "2.8.0", "3.0.11", "3.4.7");
  const nodes = (of: readonly (readonly [number, string, object])[]) =>
    [
      ...new Map(
        of.map(([number, ip, share]) => [number, { host: `n${number}.int`, ip, port: 80, metadata: {}, ...share }]),
      ),
    ]
      .toSorted(([a], [b]) => a - b).map(([, node]) => node as Node);
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(members, { minLength: 2, maxLength: 5 }),
      section,
      version,
      async (steps, section, version) => {
        let wanted = desired(nodes(steps[0] ?? []), section, version);
        let { model, observed } = await serving(wanted);
        for (const step of steps.slice(1)) {
          const next = desired(nodes(step), section, version);
          const found = await take(model, observed, wanted, next);
          if (found === undefined) return;
          taken++;
          assert.deepEqual(commands(next, await observe(model, next)), []);
          [wanted, observed] = [next, found.observed];
        }
      },
    ),
  );
  assert(taken > 50, `${taken}`);
});
