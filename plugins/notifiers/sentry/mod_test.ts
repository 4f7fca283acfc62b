import assert from "node:assert/strict";
import type { NotifiedEvent } from "../../../mod.ts";
import sentry from "./mod.ts";

Deno.test("sentry posts all events of a call over one connection", async () => {
  const ports: number[] = [];
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request, { remoteAddr }) => {
      await request.text();
      ports.push((remoteAddr as Deno.NetAddr).port);
      return new Response("{}");
    },
  );
  const { port } = server.addr as Deno.NetAddr;
  const events: readonly NotifiedEvent[] = Array.from({ length: 20 }, (_, i) => ({
    event: "service.down",
    level: "warn",
    message: `Service ${i} down`,
    atMs: i,
    fields: {},
  }));
  const url = { isSecure: false, host: "127.0.0.1", port, path: "" };
  await sentry.notify(events, { dsn: { url, key: "0123abcd", project: "7" } }, AbortSignal.timeout(30_000));
  assert.equal(ports.length, events.length);
  assert.equal(new Set(ports).size, 1, ports.join());
});
