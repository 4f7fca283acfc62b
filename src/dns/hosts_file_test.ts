import assert from "node:assert/strict";
import { addressesOf, namesOf } from "./hosts_file.ts";

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
  "namesOf() finds the names of $address",
  ({ address, then }) => assert.deepEqual(namesOf(address, HOSTS), then),
);

Deno.test("addressesOf() finds all addresses of a name, ignoring case and a trailing dot", () => {
  assert.deepEqual(addressesOf("LocalHost.", HOSTS), ["127.0.0.1", "::1"]);
  assert.deepEqual(addressesOf("disabled.int", HOSTS), []);
});
