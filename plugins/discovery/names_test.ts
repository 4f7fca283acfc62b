import assert from "node:assert/strict";
import { type Resolved, UnresolvedError } from "../../src/dns/resolver.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { type Child, composeNodes } from "./children.ts";
import { formatIn } from "./formats/table.ts";
import { Names, nameServiceOf } from "./names.ts";

const SERVICE = { nameServers: ["10.0.0.53:53"], searchDomains: [], ndots: 1 };

function member(host: string): Child {
  const value = JSON.stringify({ status: "ALIVE", serviceEndpoint: { host, port: 80 } });
  return formatIn({ format: "serverset" }, "web").read("member_1", new TextEncoder().encode(value));
}

/** Names, and what the name servers say: the records of each name, or `undefined` if they are silent. */
function stage(zone: Record<string, readonly string[] | undefined>, ttlMs = 10_000) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const names = new Names({
    nameService: SERVICE,
    clock,
    lookUp: (name, family): Promise<Resolved<string>> => {
      asked.push(`${family} ${name}`);
      if (!(name in zone)) return Promise.resolve({ records: [], exists: false, ttlMs });
      const all = zone[name];
      if (all === undefined) return Promise.reject(new UnresolvedError("silent"));
      return Promise.resolve({
        records: all.filter((ip) => ip.includes(":") === (family === "AAAA")),
        exists: true,
        ttlMs,
      });
    },
  });
  const resolve = async (...hosts: readonly string[]) => {
    const { children, dueMs } = await names.resolve(
      new Map(hosts.map((host) => [host, member(host)])),
      new AbortController().signal,
    );
    const { nodes, faults } = composeNodes(children);
    return { nodes: nodes.map(({ host, ip }) => `${host}=${ip}`), faults: [...faults.values()], dueMs };
  };
  return { zone, clock, asked, resolve };
}

Deno.test("Names puts addresses in the place of names, and asks nobody where there are none", async () => {
  const { resolve, asked } = stage({ "a.example": ["10.0.0.2", "10.0.0.1"], "six.example": ["::6"] });
  assert.deepEqual(await resolve("10.9.9.9"), { nodes: ["10.9.9.9=10.9.9.9"], faults: [], dueMs: undefined });
  assert.deepEqual(asked, []);
  const { nodes, faults, dueMs } = await resolve("a.example", "six.example", "gone.example", "10.9.9.9");
  assert.deepEqual(nodes, ["10.9.9.9=10.9.9.9", "a.example=10.0.0.1", "six.example=::6"]);
  assert.deepEqual(faults, ["Cannot resolve gone.example: no such name"]);
  assert.equal(dueMs, 10_000);
});

Deno.test("Names asks again when the time of a record is over, and keeps the address that is among several", async () => {
  const { resolve, asked, clock, zone } = stage({ "a.example": ["10.0.0.2"] });
  await resolve("a.example");
  await resolve("a.example");
  assert.equal(asked.length, 1);
  zone["a.example"] = ["10.0.0.1", "10.0.0.2"];
  clock.advance(10_001);
  assert.deepEqual((await resolve("a.example")).nodes, ["a.example=10.0.0.2"]);
  zone["a.example"] = ["10.0.0.1"];
  clock.advance(10_001);
  assert.deepEqual((await resolve("a.example")).nodes, ["a.example=10.0.0.1"]);
});

Deno.test("Names asks once for a name that does not exist, and again after 5 s though its answer holds for none", async () => {
  const { resolve, asked, clock } = stage({ "six.example": ["::6"] }, 0);
  for (let second = 0; second < 10; second++) {
    await resolve("gone.example");
    clock.advance(1_000);
  }
  assert.deepEqual(asked, ["A gone.example", "A gone.example"]);
  assert.deepEqual((await resolve("six.example")).nodes, ["six.example=::6"]);
});

Deno.test("Names keeps an address while no name server answers, and a name that never had one is its entry's fault alone", async () => {
  const { resolve, clock, zone } = stage({ "a.example": ["10.0.0.1"] }, 0);
  await resolve("a.example");
  zone["a.example"] = undefined;
  zone["b.example"] = undefined;
  clock.advance(5_001);
  const { nodes, faults } = await resolve("a.example", "b.example");
  assert.deepEqual([nodes, faults], [["a.example=10.0.0.1"], ["silent"]]);
  assert.deepEqual((await resolve("10.9.9.9", "b.example")).nodes, ["10.9.9.9=10.9.9.9"]);
});

Deno.test("Names fails when no entry has an address as no name server answers: nobody knows what the cluster is", async () => {
  const { resolve, zone, clock } = stage({ "a.example": undefined, "b.example": undefined });
  await assert.rejects(resolve("a.example", "b.example"), /silent/);
  zone["a.example"] = ["10.0.0.1"];
  clock.advance(60_001);
  assert.deepEqual((await resolve("a.example", "b.example")).nodes, ["a.example=10.0.0.1"]);
});

Deno.test("nameServiceOf() needs a name server", () => {
  assert.equal(nameServiceOf({ instance: "x" }), undefined);
  assert.deepEqual(nameServiceOf({ instance: "x", nameServers: ["10.0.0.53:53"] }), SERVICE);
});
