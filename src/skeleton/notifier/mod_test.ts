import assert from "node:assert/strict";
import plugin from "./mod.ts";

const EVENT = {
  event: "service.up",
  level: "info",
  message: "Service up",
  atMs: 0,
  fields: { service: "web" },
} as const;

/** Notifies a server that answers with a status; returns what it received. */
async function notify(status: number): Promise<unknown> {
  let sent: unknown;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    sent = [new URL(request.url).pathname, await request.json()];
    return new Response(null, { status });
  });
  try {
    const config = { address: `127.0.0.1:${server.addr.port}`, path: "/events" };
    await plugin.notify([EVENT], config, new AbortController().signal);
  } finally {
    await server.shutdown();
  }
  return sent;
}

Deno.test("my_notifier posts events as JSON", async () => {
  assert.deepEqual(await notify(204), ["/events", [EVENT]]);
});

Deno.test("my_notifier throws when the server rejects them", async () => {
  await assert.rejects(notify(500), /got status 500, expected 2xx$/);
});

Deno.test("my_notifier reports an unknown key with its path", async () => {
  const { issues } = await plugin.config["~standard"].validate({ address: "127.0.0.1:1", adress: "" });
  assert.deepEqual(issues?.[0]?.path, ["adress"]);
  assert.deepEqual(issues?.[0]?.unknownKey, { known: ["address", "path"] });
});
