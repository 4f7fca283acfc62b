import assert from "node:assert/strict";
import { makeCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";
import { StoreProcess } from "./process.ts";

const FEW_FILES = ["sh", "-c", 'ulimit -n 128; exec "$0" "$@"'];

Deno.test.each(
  [
    { how: "as many as it derives", tls: "none", flags: [] },
    { how: "more than it has files for", tls: "none", flags: ["--max-connections", "10000"] },
    { how: "over TLS", tls: "server", flags: ["--max-connections", "10000"] },
    { how: "over TLS with clients' certificates", tls: "clients", flags: ["--max-connections", "10000"] },
  ] as const,
)("a store with more connections than open files keeps responding, $how", async ({ tls, flags }) => {
  await using dir = new TempDir("lighthouse-connections-");
  const files = await makeCertificates(dir);
  const port = freePort();
  const tlsFlags = tls === "none" ? [] : ["--tls-cert", files.good, "--tls-key", files.key];
  const clientFlags = tls === "clients" ? ["--tls-client-ca", files.ca] : [];
  await using store = new StoreProcess(
    ["--data.d", dir.file("data"), "--bind", `127.0.0.1:${port}`, "--bootstrap", ...flags, ...tlsFlags, ...clientFlags],
    { within: FEW_FILES },
  );
  await store.event("store.listening");
  const [cert, key, ca] = await Promise.all([files.good, files.key, files.ca].map((path) => Deno.readTextFile(path)));
  using client = Deno.createHttpClient({ caCerts: [ca ?? ""], cert: cert ?? "", key: key ?? "" });
  const ask = async () => {
    const scheme = tls === "none" ? "http" : "https";
    const signal = AbortSignal.timeout(60_000);
    const answer = await fetch(`${scheme}://localhost:${port}/data`, {
      client,
      signal,
      headers: { connection: "close" },
    });
    await answer.body?.cancel();
    return answer.ok;
  };
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < 400; i++) stack.use(await Deno.connect({ hostname: "127.0.0.1", port }));
  await store.event("http.shed");
  await eventually("it answers while all of them are open", ask);
  await stack.disposeAsync();
  assert.ok(await ask(), "and when they are gone");
  assert.doesNotMatch(store.log, /recv_reset|Uncaught/);
});

Deno.test("a store that receives HTTP/2 prints only its log", async () => {
  await using dir = new TempDir("lighthouse-connections-");
  const port = freePort();
  await using store = new StoreProcess(["--data.d", dir.path, "--bind", `127.0.0.1:${port}`, "--bootstrap"]);
  await store.event("store.listening");
  const preface = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  // SETTINGS, then HEADERS that are reset: the start of a rapid reset.
  const frames = new Uint8Array([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8]);
  for (let i = 0; i < 20; i++) {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new Uint8Array([...preface, ...frames]));
    const answer = new Uint8Array(1_000);
    const length = await connection.read(answer) ?? 0;
    assert.match(new TextDecoder().decode(answer.subarray(0, length)), /^HTTP\/1.1 400 /);
  }
  assert.deepEqual(store.log.split("\n").filter((line) => line !== "" && !/level=/.test(line)), []);
});
