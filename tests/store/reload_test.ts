import assert from "node:assert/strict";
import type { Logger } from "../../src/kernel/logger.ts";
import { makeCertificates } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";
import { StoreProcess } from "./process.ts";
import { AT_ONCE, TestStore } from "./stage.ts";

const OLD = "old-rights-0123456789";
const NEW = "new-rights-0123456789";
const tokensOf = (token: string) => `- {name: web, token: ${token}, read: [/], write: [/]}\n`;
const as = (token: string) => ({ authorization: `Bearer ${token}` });

/** A log in memory. */
function recording(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const record = (...said: readonly unknown[]) => void lines.push(JSON.stringify(said));
  return { log: { debug: record, info: record, warn: record, error: record }, lines };
}

Deno.test("SIGHUP reloads the tokens of lighthouse store; an invalid file keeps the previous ones", async () => {
  await using dir = new TempDir();
  const tokens = await dir.write("tokens.yaml", tokensOf(OLD));
  const address = `127.0.0.1:${freePort()}`;
  const flags = ["--data.d", dir.file("data.d"), "--bootstrap", "--bind", address, "--tokens", tokens];
  await using store = new StoreProcess(flags);
  await store.event("store.listening");
  const status = async (token: string) => {
    const response = await fetch(`http://${address}/data`, { headers: as(token) });
    await response.body?.cancel();
    return response.status;
  };
  assert.deepEqual([await status(OLD), await status(NEW)], [200, 401]);
  await dir.write("tokens.yaml", "- {name: broken");
  store.kill("SIGHUP");
  await store.event("store.secrets_invalid", { reason: /Cannot read the tokens/ });
  assert.deepEqual([await status(OLD), await status(NEW)], [200, 401]);
  await dir.write("tokens.yaml", tokensOf(NEW));
  store.kill("SIGHUP");
  await store.event("store.secrets_reloaded");
  assert.deepEqual([await status(OLD), await status(NEW)], [401, 200]);
  assert.ok(!store.log.includes("0123456789"));
});

Deno.test("a token keeps its lock and leases when its secret changes", async () => {
  await using dir = new TempDir();
  const tokensFile = await dir.write("tokens.yaml", tokensOf(OLD));
  await using store = await TestStore.start({ tokensFile });
  await store.ask("PUT /lock", "mine", as(OLD));
  await store.ask("PUT /lease/l", { ttl: 60, keys: { "/n": 1 } }, as(OLD));
  await dir.write("tokens.yaml", tokensOf(NEW));
  await store.server.reload();
  assert.equal((await store.ask("PUT /update/mine/m", "2", as(NEW))).status, 201);
  assert.equal((await store.ask("PUT /lease/l", "", as(NEW))).status, 200);
  assert.equal((await store.ask("PUT /lock/mine", undefined, as(NEW))).status, 200);
});

Deno.test.each([{ asksClients: false }, { asksClients: true }])(
  "a reload replaces the certificates (client certificates: $asksClients)",
  async ({ asksClients }) => {
    await using first = new TempDir();
    await using second = new TempDir();
    await using dir = new TempDir();
    const [before, after] = [await makeCertificates(first), await makeCertificates(second)];
    const install = async ({ good, key, ca }: typeof before) => {
      for (const [name, from] of Object.entries({ "cert.pem": good, "key.pem": key, "ca.pem": ca })) {
        await dir.write(name, await Deno.readTextFile(from));
      }
    };
    await install(before);
    const [cert, key, ca] = [dir.file("cert.pem"), dir.file("key.pem"), dir.file("ca.pem")];
    const { log, lines } = recording();
    await using store = await TestStore.start({ log, tls: { cert, key, ...(asksClients ? { clientCa: ca } : {}) } });
    const { port } = store.server.address;
    const ask = async (trusted: typeof before, path = "/version") => {
      using client = Deno.createHttpClient({
        caCerts: [await Deno.readTextFile(trusted.ca)],
        cert: await Deno.readTextFile(trusted.good),
        key: await Deno.readTextFile(trusted.key),
      });
      const response = await fetch(`https://localhost:${port}${path}`, { client });
      return [response.status, await response.text()] as const;
    };
    assert.equal((await ask(before))[0], 200);
    await assert.rejects(ask(after), TypeError);
    const waiting = ask(before, "/data?watch=0&timeout=20");

    await dir.write("cert.pem", "no certificate");
    await store.server.reload();
    assert.match(lines.at(-1) ?? "", /Cannot reload/);
    assert.equal((await ask(before))[0], 200, "the previous ones stay active");

    await install(after);
    await store.server.reload();
    assert.equal((await ask(after))[0], 200);
    await assert.rejects(ask(before), TypeError);
    await store.server.store.lease({ name: "l", ttlMs: 60_000, keys: new Map([["/n", 1]]) });
    const [status, text] = await waiting;
    assert.deepEqual([status, JSON.parse(text)], [200, { n: 1 }], "a request in progress continues");
  },
);

Deno.test("a reload without tokens and certificates changes nothing", async () => {
  await using store = await TestStore.start({ log: AT_ONCE.log }, { n: 1 });
  await store.server.reload();
  assert.equal((await store.ask("GET /data/n")).text, "1");
});
