import assert from "node:assert/strict";
import plugin from "./mod.ts";

/** Probes a server that sends `greeting` to each client. */
async function probe(greeting: string, config: unknown = {}) {
  const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    const connection = await server.accept();
    await connection.write(new TextEncoder().encode(greeting));
    connection.close();
  })();
  const validated = await plugin.config["~standard"].validate(config);
  assert.ok(validated.issues === undefined, JSON.stringify(validated.issues));
  const target = `127.0.0.1:${server.addr.port}`;
  const log = { debug() {}, info() {}, warn() {} };
  const outcome = await plugin.probe(validated.value, { target, signal: new AbortController().signal, log });
  await served;
  server.close();
  return outcome;
}

Deno.test("my_check passes when the server sends the expected greeting", async () => {
  assert.deepEqual(await probe("220 here I am\r\n"), { status: "pass" });
  assert.deepEqual(await probe("hello\n", { expect: "hel" }), { status: "pass" });
});

Deno.test("my_check fails on another greeting, and quotes it", async () => {
  const outcome = await probe("554 go away\r\n");
  assert.ok(outcome.status === "fail");
  assert.match(outcome.reason, /greeting of \S+ is "554 go away", expected "220 "$/);
});

Deno.test("my_check reports an unknown key with its path", async () => {
  const { issues } = await plugin.config["~standard"].validate({ expcet: "220" });
  assert.deepEqual(issues?.[0]?.path, ["expcet"]);
  assert.deepEqual(issues?.[0]?.unknownKey, { known: ["expect"] });
});
