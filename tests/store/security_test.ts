import assert from "node:assert/strict";
import type { Logger } from "../../src/kernel/logger.ts";
import { StoreServer } from "../../src/store/server.ts";
import { parseTokens } from "../../src/store/tokens.ts";
import { makeCertificates } from "../support/certificates.ts";
import { LIMITS } from "../../src/store/limits.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { TempDir } from "../support/temp_dir.ts";
import { StoreProcess } from "./process.ts";
import { AT_ONCE, TestStore } from "./stage.ts";

const ALL = "all-rights-0123456789";
const WEB = "web-rights-0123456789";
const READ = "read-only-0123456789";
const TOKENS = `
- {name: all, token: ${ALL}, read: [/], write: [/]}
- {name: web, token: ${WEB}, read: [/public], write: [/services/web]}
- name: reader
  sha256: ${await sha256(READ)}
  read: [/]
`;

async function sha256(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex();
}

const as = (token: string) => ({ authorization: `Bearer ${token}` });
const DOCUMENT = { public: 1, secret: 2, services: { web: {}, db: {} } };

async function startWithTokens(dir: TempDir, log: Logger = AT_ONCE.log): Promise<TestStore> {
  const tokensFile = await dir.write("tokens.yaml", TOKENS);
  const store = await TestStore.start({ tokensFile, log });
  for (const [line, body] of [["PUT /lock", "x"], ["PUT /update/x", DOCUMENT], ["PUT /lock/x"]] as const) {
    const { status } = await store.ask(line, body, as(ALL));
    assert.ok(status < 300);
  }
  return store;
}

Deno.test("tokens grant exactly their rights", async () => {
  await using dir = new TempDir();
  await using store = await startWithTokens(dir);
  const rows: readonly (readonly [token: string, line: string, status: number, body?: unknown])[] = [
    ["", "GET /data/public", 401],
    ["no-such-token-0123456", "GET /data/public", 401],
    [READ, "GET /data", 200],
    [READ, "PUT /lock", 403, "r"],
    [READ, "PUT /lease/l", 403, { ttl: 9, keys: { "/public": 1 } }],
    [READ, "PUT /state", 403, []],
    [READ, "GET /copy", 200],
    [READ, "PUT /copy", 403, {}],
    [WEB, "GET /data", 403],
    [WEB, "GET /data/public", 200],
    [WEB, "GET /data/secret", 403],
    [WEB, "GET /data/services/web", 200],
    [WEB, "GET /data/services/webs", 403],
    [WEB, "GET /copy", 403],
    [WEB, "PUT /copy", 403, {}],
    [WEB, "PUT /lock", 200, "w"],
    [WEB, "PUT /update/w/services/web/a", 201, "1"],
    [WEB, "PUT /update/w/services/db/a", 403, "1"],
    [WEB, "PUT /update/w/public", 403, "1"],
    [WEB, "PUT /update/w", 403, "1"],
    [WEB, "DELETE /update/w/secret", 403],
    [WEB, "GET /update/w/secret", 403],
    [ALL, "PUT /update/w/secret", 403, "1"],
    [ALL, "PUT /lock", 403, "w"],
    [ALL, "DELETE /lock/x", 404],
    [ALL, "PUT /lock/w", 404],
    [WEB, "PUT /lock/w", 200],
    [WEB, "PUT /lock", 200, "w"],
    [READ, "DELETE /lock/w", 403],
    [ALL, "DELETE /lock/w", 200],
    [WEB, "PUT /lock/w", 404],
    [WEB, "PUT /lock", 403, "w"],
    [ALL, "PUT /lock", 200, "a"],
    [WEB, "DELETE /lock/a", 404],
    [ALL, "DELETE /lock/a", 200],
    [WEB, "PUT /lease/l", 201, { ttl: 9, keys: { "/services/web/n": 1 } }],
    [WEB, "PUT /lease/m", 403, { ttl: 9, keys: { "/services/db/n": 1 } }],
    [ALL, "PUT /lease/l", 403, ""],
    [ALL, "DELETE /lease/l", 403],
    [WEB, "DELETE /lease/l", 204],
    [ALL, "GET /data/services", 200],
  ];
  for (const [token, line, status, body] of rows) {
    const answer = await store.ask(line, body, token === "" ? {} : as(token));
    assert.equal(answer.status, status, `${token} ${line}: ${answer.text}`);
    assert.ok(!answer.text.includes("0123456789"), "no answer shows a token");
  }
});

Deno.test("no token is in a log or in a snapshot", async () => {
  await using dir = new TempDir();
  const lines: string[] = [];
  const record = (...said: readonly unknown[]) => void lines.push(JSON.stringify(said));
  await using store = await startWithTokens(dir, { debug: record, info: record, warn: record, error: record });
  await store.ask("GET /data", undefined, as(`${WEB}-mistyped`));
  await store.ask("PUT /lock", "w", as(WEB));
  await store.restart();
  for await (const { name } of Deno.readDir(store.dir.path)) {
    lines.push(await Deno.readTextFile(store.dir.file(name)));
  }
  assert.ok(lines.length > 3);
  assert.ok(lines.every((line) => !/-rights-|read-only/.test(line)));
});

Deno.test.each([
  { text: "- {name: a, token: short}", fault: /at least 16/ },
  { text: "- {name: a}", fault: /either token or sha256/ },
  { text: `- {name: a, token: ${ALL}, sha256: "${"0".repeat(64)}"}`, fault: /either token or sha256/ },
  { text: `- {name: a, token: ${ALL}, write: [services]}`, fault: /begins with/ },
  { text: `- {name: a, token: ${ALL}, writes: []}`, fault: /Unknown key/ },
  { text: `- {name: a, token: ${ALL}}\n- {name: b, token: ${ALL}}`, fault: /another entry has the same token/ },
  { text: `- {name: a, token: ${ALL}, [`, fault: /invalid YAML/ },
  { text: `- {name: a, sha256: ${ALL}}`, fault: /64 lowercase hexadecimal digits/ },
  { text: `- ${ALL}`, fault: /must be a map/ },
  { text: ALL, fault: /a list of tokens/ },
])("an invalid tokens file is rejected without showing a token: $fault", ({ text, fault }) => {
  assert.throws(() => parseTokens(text, "tokens.yaml"), (error: Error) => {
    assert.match(error.message, fault);
    assert.ok(!error.message.includes(ALL) && !error.message.includes("short"));
    return true;
  });
});

Deno.test("a store does not listen beyond loopback without authentication, unless --insecure", async () => {
  await using dir = new TempDir();
  const start = (more: Partial<typeof AT_ONCE>) =>
    StoreServer.start({ ...AT_ONCE, dataDir: dir.path, bind: { host: "0.0.0.0", port: 0 }, ...more });
  await assert.rejects(start({}), /--insecure/);
  await using certificates = new TempDir();
  const { good, key } = await makeCertificates(certificates);
  await assert.rejects(start({ tls: { cert: good, key } }), /--insecure/);
  await using _insecure = await start({ isInsecure: true });
});

Deno.test("lighthouse store reports why it does not start, and exits with 1", async () => {
  await using dir = new TempDir();
  await using store = new StoreProcess(["--data.d", dir.path, "--bind", "0.0.0.0:0"]);
  assert.equal(await store.ended(), 1);
  assert.match(
    store.log,
    /Cannot listen on 0\.0\.0\.0:0: without authentication, any client could change any value/,
  );
});

Deno.test("a store on loopback answers no foreign host name (DNS rebinding)", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  const { port } = store.server.address;
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const ask = async (host: string) => {
    await connection.write(new TextEncoder().encode(`GET /data HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
    const buffer = new Uint8Array(4096);
    const length = await connection.read(buffer) ?? 0;
    return new TextDecoder().decode(buffer.subarray(0, length)).split(" ")[1];
  };
  assert.equal(await ask(`localhost:${port}`), "200");
  assert.equal(await ask(`rebound.example:${port}`), "421");
  assert.equal(await ask(`[::1]:${port}`), "200");
});

Deno.test("a store listens with TLS", async () => {
  await using dir = new TempDir();
  const { good, key, ca } = await makeCertificates(dir);
  await using store = await TestStore.start({ tls: { cert: good, key } }, undefined);
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(ca)] });
  const response = await fetch(`https://localhost:${store.server.address.port}/data`, { client });
  assert.deepEqual([response.status, await response.json()], [200, {}]);
});

Deno.test("a store with client certificates serves only those of its authority", async () => {
  await using dir = new TempDir();
  const { good, key, ca, selfSigned } = await makeCertificates(dir);
  await using store = await TestStore.start({ tls: { cert: good, key, clientCa: ca } }, undefined);
  const caCerts = [await Deno.readTextFile(ca)];
  const pem = { key: await Deno.readTextFile(key), cert: await Deno.readTextFile(good) };
  const url = `https://localhost:${store.server.address.port}`;
  using client = Deno.createHttpClient({ caCerts, ...pem });
  const put = async (path: string, body: string) => {
    const response = await fetch(`${url}${path}`, { method: "PUT", body, client });
    return [response.status, await response.text()];
  };
  assert.deepEqual(await put("/lock", "me"), [200, "Acquired"]);
  assert.deepEqual(await put("/update/me/n", JSON.stringify("x".repeat(300_000))), [201, "Created"]);
  assert.deepEqual(await put("/lock/me", ""), [200, "Released"]);
  const response = await fetch(`${url}/data/n`, { client });
  assert.equal((await response.json()).length, 300_000);
  const strangers = [{}, { ...pem, cert: await Deno.readTextFile(selfSigned) }];
  for (const stranger of strangers) {
    using other = Deno.createHttpClient({ caCerts, ...stranger });
    await assert.rejects(fetch(`${url}/data`, { client: other }).then((answer) => answer.text()), TypeError);
  }
});

Deno.test("a store with TLS rejects old TLS versions and certificates of version 1", async () => {
  await using dir = new TempDir();
  const { good, key, ca } = await makeCertificates(dir);
  const openssl = async (...args: readonly string[]) => {
    const child = new Deno.Command("openssl", { args: [...args], stdin: "piped", stdout: "piped", stderr: "piped" })
      .spawn();
    const request = "GET /data HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    // A rejected client may get no answer at all.
    await ReadableStream.from([new TextEncoder().encode(request)]).pipeTo(child.stdin).catch(() => {});
    const { stdout, stderr } = await child.output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  };
  // Since 3.2, openssl signs a request without extensions as version 3, which is fine.
  await openssl("req", "-new", "-key", key, "-subj", "/CN=old", "-out", dir.file("old.csr"));
  await openssl("x509", "-req", "-in", dir.file("old.csr"), "-CA", ca, "-CAkey", key, "-out", dir.file("old.pem"));
  const isOld = /Version: 1 /.test(await openssl("x509", "-in", dir.file("old.pem"), "-noout", "-text"));
  for (const clientCa of [undefined, ca]) {
    await using store = await TestStore.start({ tls: { cert: good, key, clientCa } }, undefined);
    const ask = (cert: string, ...more: readonly string[]) =>
      openssl(
        ...["s_client", "-quiet", "-connect", `127.0.0.1:${store.server.address.port}`, "-CAfile", ca],
        ...["-cert", cert, "-key", key, ...more],
      );
    for (const version of ["-tls1_2", "-tls1_3"]) {
      assert.match(await ask(good, version), /HTTP\/1\.1 200 OK/, version);
      const old = await ask(dir.file("old.pem"), version);
      assert.equal(/HTTP/.test(old), clientCa === undefined || !isOld, `${version}: it is of our authority, but old`);
    }
    for (const version of ["-tls1", "-tls1_1"]) {
      assert.doesNotMatch(await ask(good, version, "-cipher", "DEFAULT:@SECLEVEL=0"), /HTTP/, version);
    }
  }
});

Deno.test("a token is in no arguments, environment or log, and files are private to the user", async () => {
  await using dir = new TempDir();
  const tokens = await dir.write("tokens.yaml", TOKENS);
  const token = await dir.write("token", ALL);
  const port = freePort();
  await using store = new StoreProcess(
    ["--data.d", dir.file("data.d"), "--bind", `127.0.0.1:${port}`, "--bootstrap", "--tokens", tokens],
  );
  await store.event("store.listening");
  await using host = new TestHost();
  await host.configure();
  await host.write("discovery/store", {
    type: "lighthouse",
    hosts: [`127.0.0.1:${port}`],
    path: "/services",
    token_file: token,
  });
  await host.write("clusters/web", { discovery: "store", haproxy: { port: freePort(), backend: ["mode http"] } });
  await using service = new WebService();
  await host.write("services/web", {
    discovery: "store",
    port: service.port,
    checks: { interval: "100ms", http: { uri: "/health", rise: 1, fall: 1 } },
  });
  const status = host.dir.file("status.sock");
  await using both = Lighthouse.start("run", host.configDir, ["--status", `unix:${status}`]);
  await host.untilServing("web", [service.port]).catch((error) => {
    throw new Error(`${error.message}\n${both.log}\n${store.log}`);
  });
  for (const { pid, log } of [store, both]) {
    for (const file of ["cmdline", "environ"]) {
      assert.ok(!(await Deno.readTextFile(`/proc/${pid}/${file}`)).includes(ALL), file);
    }
    assert.ok(!log.includes(ALL));
  }
  const { configFile, socketFile } = host.haproxy;
  const modes: Readonly<Record<string, number>> = {
    [configFile]: 0o640,
    [`${configFile}.lock`]: 0o600,
    [`${configFile}.topology`]: 0o600,
    [socketFile]: 0o600,
    [status]: 0o600,
    [dir.file("data.d")]: 0o700,
    [dir.file("data.d/.lock")]: 0o600,
  };
  for (const [path, mode] of Object.entries(modes)) {
    await eventually(`${path} is there`, () => Deno.stat(path).then(() => true, () => false));
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, mode, path);
  }
  for await (const { name } of Deno.readDir(dir.file("data.d"))) {
    assert.equal(((await Deno.stat(dir.file(`data.d/${name}`))).mode ?? 0) & 0o777, 0o600, name);
  }
});

Deno.test("a token uses at most its share of watches, and others still can wait", async () => {
  await using dir = new TempDir();
  const tokensFile = await dir.write("tokens.yaml", TOKENS);
  await using store = await TestStore.start({
    tokensFile,
    limits: { ...LIMITS, watchersMax: 3, watchersOfTokenMax: 2 },
  });
  const giveUp = new AbortController();
  const watch = (token: string, kind: "poll" | "events") =>
    fetch(`${store.url}/data/public?watch=0&timeout=300`, {
      signal: giveUp.signal,
      headers: { ...as(token), accept: kind === "events" ? "text/event-stream" : "*/*" },
    });
  const polls = [watch(WEB, "poll")];
  const events = await watch(WEB, "events");
  assert.equal(events.status, 200);
  await eventually("two wait", async () => {
    const { text } = await store.ask("GET /metrics", undefined, as(ALL));
    return /watchers 2$/m.test(text);
  });
  for (const kind of ["poll", "events"] as const) {
    const rejected = await watch(WEB, kind);
    assert.deepEqual([rejected.status, /2 requests with this token/.test(await rejected.text())], [503, true]);
  }
  const other = await watch(READ, "events");
  assert.equal(other.status, 200);
  giveUp.abort();
  await Promise.allSettled([...polls, events.body?.cancel(), other.body?.cancel()]);
  await eventually("there is room again", async () => {
    const again = await fetch(`${store.url}/data/public`, { headers: { ...as(WEB), accept: "text/event-stream" } });
    await again.body?.cancel();
    return again.status === 200;
  });
});
