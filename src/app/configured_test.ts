import assert from "node:assert/strict";
import type { EventRecord } from "../model/event_record.ts";
import { isConfigured, type Subjects } from "./configured.ts";

const SUBJECTS = {
  balancers: new Map([["haproxy", {}]]),
  clusters: new Map([["web", {}]]),
  services: new Map([["api", {
    service: { name: "api", ports: [8080] },
    probes: [{ port: 8080, check: { name: "http" } }],
  }]]),
} as unknown as Subjects;
const WORKERS = new Set(["discovery zk"]);

Deno.test.each<{ event: string; fields: EventRecord["fields"]; is: boolean }>([
  { event: "registry.unreachable", fields: { worker: "discovery zk" }, is: true },
  { event: "worker.start_failed", fields: { worker: "discovery old" }, is: false },
  { event: "writer.standby", fields: { balancer: "haproxy" }, is: true },
  { event: "management.paused", fields: { balancer: "nginx" }, is: false },
  { event: "cluster.held", fields: { cluster: "web", source: "zk" }, is: true },
  { event: "node.failing", fields: { cluster: "old" }, is: false },
  { event: "service.down", fields: { service: "api:8080" }, is: true },
  { event: "service.down", fields: { service: "api:8081" }, is: false },
  { event: "check.down", fields: { service: "api:8080", check: "http" }, is: true },
  { event: "check.down", fields: { service: "api:8080", check: "redis" }, is: false },
  { event: "local.drained", fields: { service: "api" }, is: true },
  { event: "local.drained", fields: { service: "old" }, is: false },
  { event: "registration.failed", fields: { discovery: "zk", cluster: "old" }, is: true },
  { event: "override.set", fields: { cluster: "old" }, is: true },
  { event: "history.unwritten", fields: { path: "/x" }, is: true },
])("isConfigured() of $event with $fields is $is", ({ event, fields, is }) => {
  assert.equal(isConfigured({ event, level: "warn", message: "", atMs: 0, fields }, SUBJECTS, WORKERS), is);
});
