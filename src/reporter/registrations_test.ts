import assert from "node:assert/strict";
import type { Service } from "../model/service.ts";
import type { AcceptedProbe, AcceptedService } from "../config/accepted.ts";
import { keptRegistrations, monitoredPorts, registrations } from "./registrations.ts";
import { onlySource } from "../model/registry_source.ts";

const HOST = { fqdn: "a.int", ip: "10.0.0.1" };
const PEER = { name: "a.int", ip: "10.0.0.1", port: 1024 };

function service(name: string, ports: readonly number[], more: Partial<Service> = {}): Service {
  const checks = [{ name: "http", type: "http", rise: 2, fall: 3, timeoutMs: 500, config: {} }];
  return {
    name,
    sources: [onlySource("zoo")],
    host: "127.0.0.1",
    ports,
    metadata: { z: 1 },
    intervalMs: 1_000,
    unknownGraceMs: 60_000,
    checks,
    ...more,
  };
}

/** A service with one probe for each check of each port. */
function accepted(service: Service): AcceptedService {
  const probes = service.ports.flatMap((port) =>
    service.checks.map((check): AcceptedProbe => {
      const id = `check ${service.name}:${port}/${check.name}`;
      return {
        port,
        check,
        instance: { id, kind: "check", module: "m", config: {}, scope: { instance: id }, granted: {} },
      };
    })
  );
  return { service, probes };
}

function map<T>(...entries: readonly (readonly [string, T])[]): ReadonlyMap<string, T> {
  return new Map(entries);
}

Deno.test("monitoredPorts() gives each port its own probes", () => {
  const services = map(["web", accepted(service("web", [80, 81]))], [
    "db",
    accepted(service("db", [90], { checks: [] })),
  ]);
  const check = (port: number) => ({
    id: `check web:${port}/http`,
    name: "http",
    rise: 2,
    fall: 3,
    timeoutMs: 500,
    unknownGraceMs: 60_000,
    question: `["m",null,{}]`,
  });
  assert.deepEqual(monitoredPorts({ services }), [
    { key: "web:80", intervalMs: 1_000, checks: [check(80)] },
    { key: "web:81", intervalMs: 1_000, checks: [check(81)] },
    { key: "db:90", intervalMs: 1_000, checks: [] },
  ]);
});

Deno.test("registrations() registers ports that are up, deregisters ports that are down, and omits the rest", () => {
  const services = map(["file", accepted(service("web", [80, 81, 82]))]);
  const statuses: Record<string, "up" | "down"> = { "web:80": "up", "web:81": "down" };
  const node = { host: "a.int", ip: "10.0.0.1", peer: PEER, metadata: { z: 1 } };
  assert.deepEqual(registrations({ services }, HOST, (key) => statuses[key] ?? "unknown"), [
    { discovery: "zoo", cluster: "web", node: { ...node, port: 80 }, wanted: "present" },
    { discovery: "zoo", cluster: "web", node: { ...node, port: 81 }, wanted: "absent" },
  ]);
});

Deno.test("registrations() names a missing discovery", () => {
  const services = map(["web", accepted(service("web", [80], { sources: [onlySource("other")] }))]);
  assert.deepEqual(registrations({ services }, HOST, () => "up").map(({ discovery }) => discovery), ["other"]);
});

Deno.test("registrations() announces the peers port of this host, 1024 by default", () => {
  const services = map(["web", accepted(service("web", [80]))]);
  const ports = [HOST, { ...HOST, peerPort: 1025 }].flatMap((host) =>
    registrations({ services }, host, () => "up").map(({ node }) => node.peer?.port)
  );
  assert.deepEqual(ports, [1024, 1025]);
});

Deno.test("registrations() never announces the address of checks", () => {
  const services = map(["web", accepted(service("web", [80], { host: "127.0.0.9" }))]);
  assert.doesNotMatch(JSON.stringify(registrations({ services }, HOST, () => "up")), /127\.0\.0\.9/);
});

Deno.test("registrations() passes a service's section on to its discovery", () => {
  const services = map(["web", { ...accepted(service("web", [80])), options: new Map([["zoo", { ttl: 5 }]]) }]);
  assert.deepEqual(registrations({ services }, HOST, () => "up").map(({ options }) => options), [{ ttl: 5 }]);
});

Deno.test("registrations() announces the zone of the host", () => {
  const services = map(["web", accepted(service("web", [80]))]);
  assert.equal(registrations({ services }, { ...HOST, zone: "eu-1" }, () => "up")[0]?.node.zone, "eu-1");
  assert.ok(!Object.hasOwn(registrations({ services }, HOST, () => "up")[0]?.node ?? {}, "zone"));
});

Deno.test("a service's weight and labels are announced", () => {
  const labels = { az: "a" };
  const services = map(["web", accepted(service("web", [80], { weight: 5, labels }))]);
  const [{ node } = assert.fail()] = registrations({ services }, HOST, () => "up");
  assert.deepEqual([node.weight, node.labels], [5, labels]);
});

Deno.test("keptRegistrations() equals registrations(), with the same objects for what is unchanged", () => {
  const services = map(["web", accepted(service("web", [80, 81]))], ["db", accepted(service("db", [90]))]);
  const kept = keptRegistrations();
  const before = kept({ services }, HOST, () => "up");
  assert.deepEqual(before, registrations({ services }, HOST, () => "up"));
  const isDown = (key: string) => key === "web:81" ? "down" : "up";
  const after = kept({ services }, HOST, isDown);
  assert.deepEqual(after, registrations({ services }, HOST, isDown));
  assert.equal(after[2], before[2], "nothing has changed of db");
  const moved = { ...HOST, ip: "10.0.0.2" };
  assert.deepEqual(kept({ services }, moved, isDown), registrations({ services }, moved, isDown));
  assert.deepEqual(kept({ services: new Map() }, moved, isDown), []);
});

Deno.test("registrations() marks ports drained by an operator as draining, or absent, and distinguishes a kept answer from another", () => {
  const services = map(["web", accepted(service("web", [80, 81]))], ["api", accepted(service("api", [90]))]);
  const statusOf = (key: string) => key === "web:81" ? "down" as const : "up" as const;
  const of = (drains: Readonly<Record<string, "drain" | "deregister">>, how = registrations) =>
    how({ services }, HOST, statusOf, (name) => drains[name])
      .map(({ node, wanted, isDraining = false }) => `${node.port} ${wanted}${isDraining ? " draining" : ""}`);
  const kept = keptRegistrations();
  for (const how of [registrations, kept]) {
    assert.deepEqual(of({}, how), ["80 present", "81 absent", "90 present"]);
    assert.deepEqual(of({ web: "drain" }, how), ["80 present draining", "81 absent draining", "90 present"]);
    assert.deepEqual(of({ web: "deregister" }, how), ["80 absent", "81 absent", "90 present"]);
    assert.deepEqual(of({}, how), ["80 present", "81 absent", "90 present"]);
  }
});
