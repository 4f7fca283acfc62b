import assert from "node:assert/strict";
import { pickIpv4, pickIpv6 } from "./interfaces.ts";

/** Formats `/proc/net/route`. */
function routes(...lines: readonly string[]): string {
  return ["Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT", ...lines, ""].join("\n");
}

/** Formats the relevant part of `/proc/net/fib_trie`, twice, as the kernel does. */
function trie(...addresses: readonly string[]): string {
  const leaves = addresses.map((address) => `           |-- ${address}\n              /32 host LOCAL\n`).join("");
  return `Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n${leaves}Local:\n${leaves}`;
}

const DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0";
const BETTER = "eth1\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0";
const WORSE = "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0";
const ETH0 = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
const ETH1 = "eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0";
const DOCKER = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0";

Deno.test.each([
  {
    why: "the address on the default route's network",
    table: routes(DEFAULT, DOCKER, ETH0),
    local: trie("127.0.0.1", "172.17.0.1", "192.0.2.2"),
    then: "192.0.2.2",
  },
  {
    why: "the one of the best default route",
    table: routes(WORSE, BETTER, ETH0, ETH1),
    local: trie("192.0.2.2", "10.1.2.3"),
    then: "10.1.2.3",
  },
  { why: "the only one without a route", table: routes(), local: trie("127.0.0.1", "10.1.2.3"), then: "10.1.2.3" },
  { why: "none of several without a route", table: routes(), local: trie("10.1.2.3", "10.1.2.4"), then: undefined },
  {
    why: "the only one beyond a route to a single host",
    table: routes(DEFAULT),
    local: trie("127.0.0.1", "10.9.9.9"),
    then: "10.9.9.9",
  },
  { why: "none of loopback", table: routes(), local: trie("127.0.0.1", "127.0.1.1"), then: undefined },
  { why: "none without /proc", table: "", local: "", then: undefined },
])("pickIpv4() picks $why", ({ table, local, then }) => assert.equal(pickIpv4(table, local), then));

const LOOPBACK = "00000000000000000000000000000001 01 80 10 80       lo";
const LINK = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0";
const OF_ETH0 = "fd000000000000000000000000000002 04 40 00 80     eth0";
const OF_ETH1 = "20010db8000000000000000000000001 05 40 00 80     eth1";

Deno.test.each([
  { why: "a global address of the default route's device", all: [LOOPBACK, LINK, OF_ETH1, OF_ETH0], then: "fd00::2" },
  { why: "the only global one", all: [LOOPBACK, LINK, OF_ETH1], then: "2001:db8::1" },
  { why: "none of link-local or loopback scope", all: [LOOPBACK, LINK], then: undefined },
  { why: "none without IPv6", all: [], then: undefined },
])("pickIpv6() picks $why", ({ all, then }) => assert.equal(pickIpv6(routes(DEFAULT), all.join("\n")), then));
