import assert from "node:assert/strict";
import fc from "fast-check";
import type { Wanted, WantedNode } from "../plugin/contract.ts";
import { differenceOf } from "./difference.ts";

/** The members of a cluster, each as its port and its weight. */
type Members = readonly (readonly [port: number, weight?: number])[];

function member([port, weight]: Members[number]): WantedNode {
  const node = { host: "a.test", ip: "10.0.0.1", port, metadata: {} };
  return { node, state: "ready", pool: "primary", ...weight !== undefined && { weight } };
}

/** The desired state of one cluster, composed again each time. */
function desired(members: Members, config = 1): Wanted<number, number> {
  const host = { fqdn: "lb.test", ip: "10.0.0.9" };
  return { config, host, clusters: [{ name: "web", config: 1, nodes: members.map(member) }] };
}

function changes(before: Members, now: Members): readonly (readonly [before: unknown, now: unknown])[] | undefined {
  const difference = differenceOf(desired(before), desired(now));
  const brief = (each: WantedNode | undefined) =>
    each && [each.node.port, ...each.weight === undefined ? [] : [each.weight]];
  return difference?.clusters.flatMap(({ members }) =>
    members.map(({ before, now }) => [brief(before), brief(now)] as const)
  );
}

Deno.test("differenceOf() finds members that joined, left or changed, although every value was made again", () => {
  assert.deepEqual(changes([[1], [2]], [[1], [2]]), []);
  assert.deepEqual(changes([[1], [3]], [[1], [2], [3]]), [[undefined, [2]]]);
  assert.deepEqual(changes([[1], [2], [3]], [[1], [3]]), [[[2], undefined]]);
  assert.deepEqual(changes([[1], [2]], [[1], [2, 5]]), [[[2], [2, 5]]]);
  assert.deepEqual(changes([], [[1]]), [[undefined, [1]]]);
});

Deno.test("differenceOf() leaves anything but members to a look, and members that are unsorted or duplicate", () => {
  assert.equal(differenceOf(desired([[1]]), desired([[1], [2]], 2)), undefined);
  const twoClusters = { ...desired([]), clusters: [...desired([]).clusters, ...desired([]).clusters] };
  assert.equal(differenceOf(desired([]), twoClusters), undefined);
  assert.equal(changes([[1], [2]], [[1], [2], [2]]), undefined);
  assert.equal(changes([[2], [1]], [[1]]), undefined);
  assert.equal(changes([[1], [3]], [[1], [3], [2]]), undefined);
  const other = { ...desired([[1]]), host: { fqdn: "lb.test", ip: "10.0.0.8" } };
  assert.equal(differenceOf(desired([[1]]), other), undefined);
});

Deno.test("differenceOf() compares maps, and the order of keys in a config", () => {
  const of = (config: unknown) => ({ ...desired([[1]]), config }) as unknown as Wanted<unknown, number>;
  assert.deepEqual(differenceOf(of({ a: new Map([[1, 2]]) }), of({ a: new Map([[1, 2]]) }))?.clusters, []);
  assert.equal(differenceOf(of({ a: new Map([[1, 2]]) }), of({ a: new Map([[1, 3]]) })), undefined);
  assert.equal(differenceOf(of({ a: 1, b: 2 }), of({ b: 2, a: 1 })), undefined);
});

Deno.test("differenceOf() leads from the previous members to the current ones", () => {
  const members = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom(undefined, 1, 2)), {
    selector: ([port]) => port,
  });
  const sorted = (each: readonly [number, number | undefined][]) =>
    each.toSorted(([a], [b]) => `${a}` < `${b}` ? -1 : 1).map(([port, weight]) =>
      weight ? [port, weight] : [port]
    ) as Members;
  fc.assert(fc.property(fc.array(members, { minLength: 2, maxLength: 6 }), (steps) => {
    let before = desired(sorted(steps[0] ?? []));
    for (const step of steps.slice(1)) {
      const now = desired(sorted(step));
      const difference = differenceOf(before, now);
      assert(difference !== undefined);
      const nodes = new Map(before.clusters[0]?.nodes.map((node) => [node.node.port, node]));
      for (const change of difference.clusters.flatMap(({ members }) => members)) {
        const port = (change.now ?? change.before)?.node.port ?? 0;
        assert.deepEqual(nodes.get(port), change.before);
        if (change.now === undefined) nodes.delete(port);
        else nodes.set(port, change.now);
      }
      const ports = (of: Iterable<WantedNode>) =>
        [...of].map(({ node: { port }, weight }) => `${port} ${weight}`).toSorted();
      assert.deepEqual(ports(nodes.values()), ports(now.clusters[0]?.nodes ?? []));
      before = now;
    }
  }));
});
