import assert from "node:assert/strict";
import type { Interfaces } from "../system/interfaces.ts";
import { type HostSources, isLocalName, learnHostFacts, pickFqdn } from "./host_facts.ts";

Deno.test.each([
  { why: "the canonical name if it has a dot", canonical: "a.int", aliases: ["b.int"], then: "a.int" },
  { why: "else the first alias that has one", canonical: "a", aliases: ["b", "b.int", "c.int"], then: "b.int" },
  { why: "else the canonical name", canonical: "a", aliases: ["b", "c"], then: "a" },
  { why: "the canonical name if there are no aliases", canonical: "localhost", aliases: [], then: "localhost" },
])("pickFqdn() picks $why", ({ canonical, aliases, then }) => assert.equal(pickFqdn({ canonical, aliases }), then));

/** A host as the system would tell of it. */
function host(
  { name = "box", addresses = {}, names = {}, interfaces = {} }: {
    name?: string;
    addresses?: Record<string, readonly string[]>;
    names?: Record<string, readonly string[]>;
    interfaces?: Interfaces;
  },
): HostSources {
  const found = <T>(value: T | undefined) =>
    value === undefined ? Promise.reject(new Error("no")) : Promise.resolve(value);
  return {
    bareName: () => name,
    addresses: (name) => found(addresses[name]),
    names: (address) => found(names[address]),
    interfaces: () => Promise.resolve(interfaces),
  };
}

Deno.test.each([
  {
    why: "a name with a reachable address",
    sources: host({
      addresses: { box: ["10.0.0.1"], "box.int": ["10.0.0.2"] },
      names: { "10.0.0.1": ["box.int", "box"] },
      interfaces: { ipv4: "10.0.0.3" },
    }),
    then: { fqdn: "box.int", ip: "10.0.0.2" },
  },
  {
    why: "one that resolves to loopback: the address of the default route",
    sources: host({
      addresses: { box: ["127.0.1.1"], "box.int": ["127.0.1.1"] },
      names: { "127.0.1.1": ["box.int"] },
      interfaces: { ipv4: "10.0.0.3", ipv6: "fd00::3" },
    }),
    then: { fqdn: "box.int", ip: "10.0.0.3" },
  },
  {
    why: "one that resolves to loopback, without a default route",
    sources: host({ addresses: { box: ["127.0.1.1"] }, names: { "127.0.1.1": ["box"] } }),
    then: { fqdn: "box", ip: "127.0.1.1" },
  },
  {
    why: "an address without a reverse name: the bare name",
    sources: host({ addresses: { box: ["10.0.0.1"] } }),
    then: { fqdn: "box", ip: "10.0.0.1" },
  },
  { why: "no data at all", sources: host({}), then: { fqdn: "box", ip: "127.0.0.1" } },
  {
    why: "IPv6 alone, by name",
    sources: host({ addresses: { box: ["fd00::1"] }, names: { "fd00::1": ["box"] }, interfaces: { ipv6: "fd00::2" } }),
    then: { fqdn: "box", ip: "fd00::1" },
  },
  {
    why: "IPv6 alone, by interface",
    sources: host({ addresses: { box: ["::1"] }, names: { "::1": ["localhost"] }, interfaces: { ipv6: "fd00::2" } }),
    then: { fqdn: "localhost", ip: "fd00::2" },
  },
])("learnHostFacts() handles $why", async ({ sources, then }) => {
  assert.deepEqual((await learnHostFacts({}, sources)).facts, then);
});

Deno.test.each([
  "localhost",
  "LocalHost.",
  "localhost4",
  "localhost6",
  "localhost.localdomain",
  "localhost4.localdomain4",
  "localhost6.localdomain6",
  "ip6-localhost",
  "ip6-loopback",
  "app.localhost",
])("%s is not announced as a name unless configured", async (name) => {
  const sources = host({ name, addresses: { [name]: ["10.0.0.1"] }, names: { "10.0.0.1": [name] } });
  const found = await learnHostFacts({}, sources);
  assert.match(found.refusal ?? "", /every host has this name; set name in host.yaml/);
  assert.ok(found.isProvisional, "DNS may know better later");
  const said = await learnHostFacts({ fqdn: name }, sources);
  assert.deepEqual([said.refusal, said.isProvisional], [undefined, false]);
});

Deno.test("a name that resolves only to loopback is not announced without an address", async () => {
  const sources = host({ addresses: { "box": ["127.0.1.1"] }, names: { "127.0.1.1": ["box.int"] } });
  assert.match((await learnHostFacts({}, sources)).refusal ?? "", /box.int at 127.0.1.1: loopback address; set ip/);
  assert.equal((await learnHostFacts({ ip: "127.0.0.1" }, sources)).refusal, undefined);
});

Deno.test.each(["localhostess", "mylocalhost", "localhost.example.org", "web01.localdomain"])(
  "%s is a name like any other",
  (name) => assert.equal(isLocalName(name), false),
);

Deno.test("a name without a dot may be improved later, one with a dot is final", async () => {
  const full = host({ addresses: { box: ["10.0.0.1"] }, names: { "10.0.0.1": ["box.int"] } });
  assert.equal((await learnHostFacts({}, full)).isProvisional, false);
  assert.equal((await learnHostFacts({}, host({ addresses: { box: ["10.0.0.1"] } }))).isProvisional, true);
});

Deno.test("learnHostFacts() uses the configured values, and looks nothing up for them", async () => {
  const never = () => Promise.reject(new Error("asked"));
  const sources = { bareName: () => "box", addresses: never, names: never, interfaces: never };
  const said = { fqdn: "a.int", ip: "10.0.0.1", peerPort: 1025 };
  assert.deepEqual(await learnHostFacts(said, sources), { facts: said, refusal: undefined, isProvisional: false });
});
