import assert from "node:assert/strict";
import { learnHostFacts, parseHosts, pickFqdn } from "./host_facts.ts";

Deno.test.each([
  { why: "the canonical name if it has a dot", canonical: "a.int", aliases: ["b.int"], then: "a.int" },
  { why: "else the first alias that has one", canonical: "a", aliases: ["b", "b.int", "c.int"], then: "b.int" },
  { why: "else the canonical name", canonical: "a", aliases: ["b", "c"], then: "a" },
  { why: "the canonical name if there are no aliases", canonical: "localhost", aliases: [], then: "localhost" },
])("pickFqdn() picks $why", ({ canonical, aliases, then }) => assert.equal(pickFqdn({ canonical, aliases }), then));

const HOSTS = `# the hosts of this host
127.0.0.1\tlocalhost

  127.0.1.1   a.int a   # its own name
10.0.0.1 first.int
10.0.0.1 second.int
10.0.0.10 tenth.int\r
#10.0.0.2 disabled.int
::1 localhost ip6-localhost
`;

Deno.test.each([
  { address: "127.0.0.1", then: ["localhost"] },
  { address: "127.0.1.1", then: ["a.int", "a"] },
  { address: "10.0.0.1", then: ["first.int"] },
  { address: "10.0.0.10", then: ["tenth.int"] },
  { address: "10.0.0.2", then: [] },
  { address: "::1", then: ["localhost", "ip6-localhost"] },
])(
  "parseHosts() finds the names of $address",
  ({ address, then }) => assert.deepEqual(parseHosts(HOSTS, address), then),
);

Deno.test("learnHostFacts() believes what it is told, and looks nothing up for it", async () => {
  assert.deepEqual(await learnHostFacts({ fqdn: "a.int", ip: "10.0.0.1" }), { fqdn: "a.int", ip: "10.0.0.1" });
});
