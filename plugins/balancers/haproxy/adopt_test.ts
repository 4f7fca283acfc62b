import assert from "node:assert/strict";
import fc from "fast-check";
import { wantedOf } from "../../../tests/support/balancer_case.ts";
import { adopt, adoptRunning } from "./adopt.ts";
import { render } from "./render.ts";

const host = fc.constantFrom("a.int", "b", "2001:db8::7", "with_underscore.int");
const node = fc.record({
  host,
  ip: fc.constantFrom("10.0.0.1", "10.0.0.2", "2001:db8::1"),
  port: fc.integer({ min: 1, max: 65_535 }),
  metadata: fc.constant({}),
});

Deno.test("adopt() reads back the members that were rendered", () =>
  fc.assert(fc.property(
    fc.dictionary(
      fc.constantFrom("web", "api", "db.main"),
      fc.uniqueArray(node, { selector: ({ host, port }) => `${host}:${port}`, maxLength: 5 }),
    ),
    (members) => {
      const lines = [["mode http"], ["balance uri", "hash-type consistent"], []];
      const wanted = wantedOf({
        clusters: Object.entries(members).map(([name, nodes], index) => ({
          name,
          haproxy: { backend: lines[index % 3], server_options: "check inter 2s" },
          nodes,
        })),
      });
      const adopted = adopt(render(wanted).text);
      assert.deepEqual([...adopted.keys()], Object.keys(members).toSorted());
      for (const [name, nodes] of Object.entries(members)) {
        const plain = (of: readonly { host: string; ip: string; port: number }[] | undefined) =>
          of?.map(({ host, ip, port }) => `${host} ${ip} ${port}`).toSorted();
        assert.deepEqual(plain(adopted.get(name)), plain(nodes));
      }
    },
  )));

Deno.test("adopt() reads a file of 1.0, with the balancers beside the members", async () => {
  const golden = new URL("../../../tests/golden/render/legacy/02-docs-web.cfg", import.meta.url);
  assert.deepEqual([...adopt(await Deno.readTextFile(golden))], [["webapp", [{
    host: "app01.int",
    ip: "10.0.1.11",
    port: 8000,
    peer: { name: "app01.int", ip: "10.0.1.11", port: 1024 },
    metadata: {},
  }]]]);
});

Deno.test("adopt() skips servers that are not members", () => {
  const file = [
    "backend web",
    "\tserver spare 10.0.0.9:80 backup",
    "\tserver db.example.com:80 db.example.com:80",
    "\tserver a:80 10.0.0.1:81",
    "\tserver b:80 10.0.0.2:80 check",
    "\tserver",
    "listen partner",
    "\tserver c:80 10.0.0.3:80",
    "",
  ].join("\n");
  assert.deepEqual([...adopt(file)].map(([name, nodes]) => [name, nodes.map(({ host }) => host)]), [["web", ["b"]]]);
});

Deno.test("adopt() survives any text", () =>
  fc.assert(fc.property(
    fc.array(
      fc.oneof(fc.string(), fc.constantFrom("backend x", "\tserver a:1 1.2.3.4:1", "peers x", "\tpeer a 1.2.3.4:1")),
    ),
    (lines) => void adopt(lines.join("\n")),
  )));

Deno.test("adoptRunning() takes the servers that get requests, and of those only members", () => {
  const server = (name: string, address: string, port: number, inMaintenance = false) => ({
    name,
    id: 1,
    address,
    port,
    inMaintenance,
    draining: false,
    down: false,
    sinceS: 0,
    check: "none" as const,
    weight: 1,
    givenWeight: 1,
    agent: "none" as const,
  });
  const servers = [
    server("a.int:80", "10.0.0.1", 80),
    server("b.int:80", "10.0.0.2", 80, true),
    server("six.int:80", "fd00::1", 80),
    server("static", "10.0.0.3", 80),
  ];
  const backends = new Map([["web", new Map(servers.map((each) => [each.name, each]))]]);
  const adopted = adoptRunning({
    running: { pid: 1, frontends: new Map(), backends, isContained: false },
    orphans: [],
  });
  assert.deepEqual(adopted.get("web")?.map(({ host, ip }) => `${host} ${ip}`), ["a.int 10.0.0.1", "six.int fd00::1"]);
  assert.equal(adoptRunning({ orphans: [] }).size, 0);
});
