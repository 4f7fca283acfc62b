import assert from "node:assert/strict";
import { namesToTry, parseResolvConf } from "./resolv_conf.ts";

Deno.test("parseResolvConf() reads servers, search list and ndots", () => {
  const text = `# generated
domain old.int
nameserver 10.0.0.2 # first
nameserver fd00::53
nameserver 10.0.0.2
nameserver fe80::1%eth0
nameserver ns.int
search svc.cluster.local. cluster.local bad_domain! a.int
options edns0 ndots:5 timeout:1
; options ndots:9
`;
  assert.deepEqual(parseResolvConf(text), {
    nameServers: ["10.0.0.2:53", "[fd00::53]:53"],
    searchDomains: ["svc.cluster.local", "cluster.local", "a.int"],
    ndots: 5,
  });
});

Deno.test("parseResolvConf() defaults to the local host, and uses at most three servers", () => {
  assert.deepEqual(parseResolvConf("search\n"), { nameServers: ["127.0.0.1:53"], searchDomains: [], ndots: 1 });
  const many = Array.from({ length: 9 }, (_, i) => `nameserver 10.0.0.${i}`).join("\n");
  assert.equal(parseResolvConf(many).nameServers.length, 3);
  assert.equal(parseResolvConf("options ndots:999").ndots, 15);
});

Deno.test.each([
  { name: "db", ndots: 1, then: ["db.a.int", "db.b.int", "db"] },
  { name: "db.x", ndots: 1, then: ["db.x", "db.x.a.int", "db.x.b.int"] },
  { name: "db.x", ndots: 5, then: ["db.x.a.int", "db.x.b.int", "db.x"] },
  { name: "db.x.", ndots: 5, then: ["db.x"] },
])("namesToTry() tries $then for $name with ndots $ndots", ({ name, ndots, then }) => {
  assert.deepEqual(namesToTry(name, { searchDomains: ["a.int", "b.int"], ndots }), then);
});

Deno.test("namesToTry() leaves out names that a search domain makes too long", () => {
  const name = `${"a".repeat(60)}.`.repeat(4).slice(0, -1);
  assert.equal(name.length, 243);
  const searchDomains = ["a.int", "much.too.long.int"];
  assert.deepEqual(namesToTry(name, { searchDomains, ndots: 1 }), [name, `${name}.a.int`]);
});
