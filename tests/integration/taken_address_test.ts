import assert from "node:assert/strict";
import { systemClock } from "../../src/kernel/clock.ts";
import { findTakenAddress, meets } from "../../src/balance/taken_address.ts";
import { SlowLookError } from "../../src/system/processes.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";

const signal = new AbortController().signal;

function find(endpoint: string, { own = [], isStart = false }: { own?: readonly number[]; isStart?: boolean } = {}) {
  return findTakenAddress([endpoint], {
    own: () => Promise.resolve(new Set(own)),
    isStart,
    clock: systemClock,
    signal,
  });
}

Deno.test.each([
  { a: "127.0.0.1", b: "127.0.0.1", want: true },
  { a: "127.0.0.1", b: "0.0.0.0", want: true },
  { a: "127.0.0.1", b: "127.0.0.2", want: false },
  { a: "0:0:0:0:0:0:0:1", b: "::1", want: true },
  { a: "0:0:0:0:0:0:0:0", b: "2001:db8::1", want: true },
  { a: "0:0:0:0:0:0:0:0", b: "127.0.0.1", want: false },
])("meets() is $want for sockets at $a and $b", ({ a, b, want }) => {
  assert.deepEqual([meets(a, b), meets(b, a)], [want, want]);
});

Deno.test("findTakenAddress() names the holder of a shared port, at any address", async () => {
  using shared = Deno.listen({ hostname: "127.0.0.1", port: 0, reusePort: true });
  const { port } = shared.addr;
  for (const endpoint of [`127.0.0.1:${port}`, `0.0.0.0:${port}`]) {
    for (const isStart of [true, false]) {
      const why = `address already in use (held by deno, pid ${Deno.pid})`;
      assert.deepEqual(await find(endpoint, { isStart }), { endpoint, why });
    }
  }
});

Deno.test("findTakenAddress() resolves a name as HAProxy does, and skips an unknown one", async () => {
  // Whichever of the two `localhost` resolves to first.
  using v4 = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = v4.addr;
  using _v6 = Deno.listen({ hostname: "::1", port });
  const endpoint = `localhost:${port}`;
  const why = `address already in use (held by deno, pid ${Deno.pid})`;
  assert.deepEqual(await find(endpoint), { endpoint, why });
  assert.equal(await find(endpoint, { own: [Deno.pid] }), undefined);
  for (const name of ["nobody.invalid", "-h", "a b"]) assert.equal(await find(`${name}:${port}`), undefined);
});

Deno.test("findTakenAddress() counts ports of own processes as free, since they pass them on", async () => {
  using held = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assert.equal(await find(`0.0.0.0:${held.addr.port}`, { own: [Deno.pid] }), undefined);
});

Deno.test("findTakenAddress() finds that a socket for all of IPv6 conflicts with one for IPv4", async () => {
  using both = Deno.listen({ hostname: "::", port: 0 });
  const taken = await find(`0.0.0.0:${both.addr.port}`);
  assert.equal(taken?.why, `address already in use (held by deno, pid ${Deno.pid})`);
});

Deno.test("findTakenAddress() ignores other bind errors before a start, and reports them before a reload", async () => {
  // An address reserved for documentation, so no host has it.
  assert.equal(await find("192.0.2.1:80", { isStart: true }), undefined);
  assert.match((await find("192.0.2.1:80"))?.why ?? "", /assign requested address/);
});

Deno.test("findTakenAddress() returns neither verdict for an address when each look is late", async () => {
  using held = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const options = { own: () => Promise.resolve(new Set<number>()), isStart: true, clock: systemClock, signal };
  // No program ends within zero time.
  const find = findTakenAddress([`127.0.0.1:${held.addr.port}`], { ...options, looksMs: [0, 0] });
  await assert.rejects(find, SlowLookError);
});

Deno.test("findTakenAddress() looks again with more time when a look is late", async () => {
  using held = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const asked: (number | undefined)[] = [];
  const own = ({ deadlineMs }: { readonly deadlineMs?: number }) => {
    asked.push(deadlineMs);
    return asked.length < 3 ? Promise.reject(new SlowLookError("late")) : Promise.resolve(new Set([Deno.pid]));
  };
  const options = { own, isStart: false, clock: systemClock, signal };
  assert.equal(await findTakenAddress([`0.0.0.0:${held.addr.port}`], options), undefined);
  assert.deepEqual(asked, [2_000, 4_000, 8_000]);
});

Deno.test("a port that somebody shares is not shared with them, though the kernel's tables are read late", async () => {
  await using host = new TestHost();
  await host.configure();
  const port = freePort();
  await host.write("clusters/web", { discovery: "file", haproxy: { port, backend: ["mode http"] } });
  // Later than the deadline of a first look.
  const slow = '#!/bin/sh\ncase "$*" in */proc/net/tcp*) sleep 2.5;; esac\nPATH=${PATH#*:}\nexec cat "$@"\n';
  await Deno.chmod(await host.dir.write("bin/cat", slow), 0o755);
  using _other = Deno.listen({ hostname: "127.0.0.1", port, reusePort: true });
  const within = ["env", `PATH=${host.dir.file("bin")}:${Deno.env.get("PATH")}`];
  await using writer = Lighthouse.start("writer", host.configDir, [], { within });
  await eventually("the writer has decided on the port", () => /balancer\.(?:serving|address_taken)/.test(writer.log));
  assert.match(writer.log, /balancer\.address_taken/);
});
