import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { formatEndpoint, isHostName, isIpv4, isIpv6, isPort, parseEndpoint } from "./endpoint.ts";

/** Strings that are addresses, and strings that almost are. */
const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4Extended(),
  fc.stringMatching(/^[0-9]{1,3}(\.[0-9]{1,3}){2,4}$/),
  fc.stringMatching(/^[0-9a-fA-F]{0,5}(:{1,2}[0-9a-fA-F]{0,5}){0,9}$/),
  fc.stringMatching(/^[0-9a-f:]{0,20}[0-9.]{0,16}$/),
  fc.string(),
);

const RUNS = { numRuns: 1_000 };

Deno.test("isIpv4() agrees with node:net", () =>
  fc.assert(fc.property(address, (text) => assert.equal(isIpv4(text), isIPv4(text), text)), RUNS));

Deno.test("isIpv6() agrees with node:net, except for zones, which it rejects", () =>
  fc.assert(
    fc.property(address, (text) => assert.equal(isIpv6(text), isIPv6(text) && !text.includes("%"), text)),
    RUNS,
  ));

Deno.test.each([
  { text: "::", then: true },
  { text: "::1", then: true },
  { text: "1::", then: true },
  { text: "1:2:3:4:5:6:7:8", then: true },
  { text: "1:2:3:4:5:6:7::", then: true },
  { text: "::ffff:1.2.3.4", then: true },
  { text: "1:2:3:4:5:6:1.2.3.4", then: true },
  { text: "1:2:3:4:5:6:7:1.2.3.4", then: false },
  { text: ":::", then: false },
  { text: "1::2::3", then: false },
  { text: "1:2:3:4:5:6:7:8:9", then: false },
  { text: "1.2.3.4::", then: false },
  { text: "::1.2.3.04", then: false },
  { text: "12345::", then: false },
  { text: "fe80::1%eth0", then: false },
  { text: "[::1]", then: false },
  { text: "::1\n", then: false },
  { text: "", then: false },
  { text: "1.2.3.4", then: false },
])("isIpv6() of '$text' is $then", ({ text, then }) => assert.equal(isIpv6(text), then));

Deno.test.each([
  { text: "127.0.0.1", then: true },
  { text: "255.255.255.255", then: true },
  { text: "256.1.1.1", then: false },
  { text: "01.1.1.1", then: false },
  { text: "1.1.1", then: false },
  { text: "1.1.1.1.", then: false },
  { text: "1.1.1.1.1", then: false },
  { text: "1.1.1.1\n", then: false },
  { text: "0x7f.1.1.1", then: false },
  { text: "2130706433", then: false },
])("isIpv4() of '$text' is $then", ({ text, then }) => assert.equal(isIpv4(text), then));

Deno.test("parseEndpoint() reads back what formatEndpoint() wrote", () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain(), fc.constantFrom("localhost", "my_host", "a.b."));
  fc.assert(fc.property(host, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
    assert.deepEqual(parseEndpoint(formatEndpoint({ host, port })), { host, port });
  }));
});

Deno.test.each([
  ...["", "host", "host:", ":80", "host:0", "host:65536", "host:123456", "host:-1", "host:8 0", "host :80", "host:80 "],
  ...[
    "::1:80",
    "[::1]",
    "[::1]:",
    "[host]:80",
    "[::1]:80x",
    "http://host:80",
    "host/path:80",
    "host:80/path",
    "h:80\n",
  ],
].map((text) => ({ text })))(
  "parseEndpoint() rejects '$text'",
  ({ text }) => assert.equal(parseEndpoint(text), undefined),
);

Deno.test.each([
  { text: "localhost", then: true },
  { text: "a.b-c.example.com", then: true },
  { text: "example.com.", then: true },
  { text: "_srv.my_host", then: true },
  { text: "1", then: true },
  { text: "a".repeat(253), then: true },
  { text: "a".repeat(254), then: false },
  { text: "", then: false },
  { text: ".", then: false },
  { text: "-a", then: false },
  { text: "a-", then: false },
  { text: "a b", then: false },
  { text: "a\nb", then: false },
  { text: "a\n", then: false },
  { text: "a:b", then: false },
  { text: "a;b", then: false },
  { text: "*.a", then: false },
  { text: "ä.example", then: false },
])("isHostName() of '$text' is $then", ({ text, then }) => assert.equal(isHostName(text), then));

Deno.test("isHostName() is fast for a long string", () => assert.equal(isHostName("a-".repeat(1e6)), false));

Deno.test.each([
  { port: 1, then: true },
  { port: 65_535, then: true },
  { port: 0, then: false },
  { port: 65_536, then: false },
  { port: 1.5, then: false },
  { port: NaN, then: false },
  { port: "80", then: false },
  { port: undefined, then: false },
])("isPort() of $port is $then", ({ port, then }) => assert.equal(isPort(port), then));
