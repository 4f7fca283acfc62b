import assert from "node:assert/strict";
import { makeCertificates } from "../support/certificates.ts";
import { TempDir } from "../support/temp_dir.ts";
import { TestStore } from "./stage.ts";

const ALL = "all-rights-0123456789";
const WEB = "web-rights-0123456789";
const TOKENS = `
- {name: all, token: ${ALL}, read: [/], write: [/]}
- {name: web, token: ${WEB}, read: [], write: [/services/web]}
`;
const DOCUMENT = { services: { web: { n: 1 }, webs: "hidden", db: "hidden" }, secret: "hidden" };

/** Sends raw bytes to a store; returns its whole answer. */
async function say({ server }: TestStore, text: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
  const writing = (async () => {
    let rest = new TextEncoder().encode(text);
    while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
  })().catch(() => {});
  let said = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  try {
    for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
      said += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  } catch {
    // On a reset, the bytes received so far count.
  }
  await writing;
  return said;
}

const request = (line: string, ...fields: readonly string[]) =>
  [`${line} HTTP/1.1`, "Host: localhost", "Connection: close", ...fields, "", ""].join("\r\n");

async function guarded(dir: TempDir): Promise<TestStore> {
  const tokensFile = await dir.write("tokens.yaml", TOKENS);
  const store = await TestStore.start({ tokensFile });
  const headers = { authorization: `Bearer ${ALL}` };
  for (const [line, body] of [["PUT /lock", "x"], ["PUT /update/x", DOCUMENT], ["PUT /lock/x"]] as const) {
    assert.ok((await store.ask(line, body, headers)).status < 300);
  }
  return store;
}

Deno.test("no spelling of a path lets a token read beyond its rights", async () => {
  await using dir = new TempDir();
  await using store = await guarded(dir);
  const web = `Authorization: Bearer ${WEB}`;
  assert.match(await say(store, request("GET /data/services/web/n", web)), /^HTTP\/1.1 200 /);
  for (
    const path of [
      ...[
        "/../db",
        "/..",
        "/%2e%2e/db",
        "/%2E%2E/db",
        "/.%2e/db",
        "/..%2fdb",
        "/..%5cdb",
        "/..\\db",
        "/./../db",
        "//../db",
      ],
      ...["s", "%73", "/../../../secret", "/%2e%2e/%2e%2e/secret", "/..;/db", ";/../db", "%00/../db", "%2f..%2fdb"],
      ...["/%252e%252e/db", "/..%252fdb", "/..%c0%afdb", "/..%u2215db", "/....//db", "/..?/db", "/.../db"],
    ].map((rest) => `/data/services/web${rest}`).concat([
      ...[
        "/data",
        "/data/",
        "//data",
        "/data//",
        "/data/secret",
        "/data/services",
        "/data/services/",
        "/data/services//db",
      ],
      ...[
        "/DATA/secret",
        "/data/services/web/../../secret",
        "/data?path=/services/web",
        "/data/%2e/secret",
        "/./data/secret",
      ],
      ...[
        "http://localhost/data/secret",
        "http://localhost/data/services/web/../db",
        "/data\\secret",
        "/%64ata/secret",
      ],
      ...["/update/x/secret", "/copy", "/lease/../data/secret", "/state/../data/secret"],
    ])
  ) {
    const said = await say(store, request(`GET ${path}`, web));
    assert.match(said, /^HTTP\/1.1 (?:400|403|404) /, path);
    assert.doesNotMatch(said, /"hidden"/, path);
  }
});

Deno.test("no spelling of a lease's keys lets a token write beyond its rights", async () => {
  await using dir = new TempDir();
  await using store = await guarded(dir);
  const headers = { authorization: `Bearer ${WEB}` };
  const put = async (key: string) =>
    (await store.ask("PUT /lease/x", { ttl: 60, keys: { [key]: "taken" } }, headers)).status;
  assert.equal(await put("/services/web/k"), 201);
  const before = (await store.ask("GET /data", undefined, { authorization: `Bearer ${ALL}` })).text;
  for (
    const key of [
      ...[
        "/secret",
        "/",
        "",
        "secret",
        "//secret",
        "/services/web/../db",
        "/services/web/%2e%2e/db",
        "/services/web/..%2fdb",
      ],
      ...[
        "/services/web%2f..%2fdb",
        "/services/webs",
        "/services%2fweb/k",
        "/Services/web/k",
        "/services//web/k",
        "/./services/web/k",
      ],
      ...[
        "services/web/k",
        "/services/web\\..\\db",
        "/services/web/%00/../../db",
        "/__proto__/k",
        "/services/db/../web/k",
      ],
    ]
  ) {
    const status = await put(key);
    // Two dots are an ordinary key: below the prefix, they are within the token's rights.
    assert.ok(
      /^\/?services\/web\//.test(key) ? [200, 201, 400, 403].includes(status) : [400, 403].includes(status),
      `${key} ${status}`,
    );
    await store.ask("DELETE /lease/x", undefined, headers);
    const { text } = await store.ask("GET /data", undefined, { authorization: `Bearer ${ALL}` });
    const { services, ...others } = JSON.parse(text);
    const { web: _own, ...beside } = services;
    assert.deepEqual(
      [others, beside],
      [{ secret: "hidden" }, { webs: "hidden", db: "hidden" }],
      `${key}, was ${before}`,
    );
  }
});

Deno.test("only a correct Authorization header is accepted", async () => {
  await using dir = new TempDir();
  await using store = await guarded(dir);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(ALL))).toHex();
  const statusOf = async (line: string, ...fields: readonly string[]) =>
    (await say(store, request(line, ...fields))).split(" ")[1];
  assert.equal(await statusOf("GET /data/secret", `Authorization: Bearer ${ALL}`), "200");
  for (
    const fields of [
      [],
      [`Authorization: ${ALL}`],
      ["Authorization: Bearer"],
      ["Authorization: Bearer "],
      [`Authorization: Bearer ${ALL.slice(0, -1)}`],
      [`Authorization: Bearer ${ALL}x`],
      [`Authorization: Bearer ${ALL.toUpperCase()}`],
      [`Authorization: Bearer ${ALL} ${ALL}`],
      [`Authorization: Bearer "${ALL}"`],
      [`Authorization: Bearer ${hash}`],
      [`Authorization: Token ${ALL}`],
      [`Authorization: Digest ${ALL}`],
      [`Proxy-Authorization: Bearer ${ALL}`],
      [`Cookie: token=${ALL}`],
      [`X-Authorization: Bearer ${ALL}`],
      [`Authorization: Bearer ${WEB}x`, `Authorization: Bearer ${ALL}`],
    ]
  ) assert.equal(await statusOf("GET /data/secret", ...fields), "401", fields.join(" | "));
  for (const query of [`?token=${ALL}`, `?access_token=${ALL}`]) {
    assert.equal(await statusOf(`GET /data/secret${query}`), "401", query);
  }
});

Deno.test("a store on loopback answers no foreign Host, and no page of another origin", async () => {
  await using store = await TestStore.start({}, DOCUMENT);
  const { port } = store.server.address;
  const ask = (host: string, line = "GET /data") =>
    say(store, `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  for (const host of [`localhost:${port}`, "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9:1", `[::1]:${port}`]) {
    assert.match(await ask(host), /^HTTP\/1.1 200 /, host);
  }
  for (
    const host of [
      ...["evil.example", `evil.example:${port}`, "localhost.evil.example", "127.0.0.1.evil.example", "evil-localhost"],
      ...["10.0.0.1", "0.0.0.0", "[::]", "[::ffff:10.0.0.1]", "2130706433", "0x7f.1", "127.1.evil", "localhost:99999"],
      ...[
        "",
        "localhost@evil.example",
        "evil.example#localhost",
        "evil.example/localhost",
        "localhost evil.example",
        "a:b",
      ],
    ]
  ) assert.match(await ask(host), /^HTTP\/1.1 4(?:00|21) /, host);
  assert.match(
    await ask("localhost", "GET http://evil.example/data"),
    /^HTTP\/1.1 421 /,
    "the absolute form counts",
  );
  assert.match(await ask("localhost", "OPTIONS /data"), /^HTTP\/1.1 405 /, "no preflight is answered");
  const overridden = request("POST /data", "X-HTTP-Method-Override: DELETE", "Content-Length: 0");
  assert.match(await say(store, overridden), /^HTTP\/1.1 405 /);
  assert.doesNotMatch(await say(store, request("GET /data", "Origin: http://evil.example")), /access-control/i);
});

Deno.test.each([
  { what: "a head of 1 MB", text: request("GET /data", `X: ${"x".repeat(1_000_000)}`) },
  { what: "a URL of 1 MB", text: request(`GET /data/${"x".repeat(1_000_000)}`) },
  { what: "2,000 fields", text: request("GET /data", ...Array.from({ length: 2_000 }, (_, i) => `X${i}: x`)) },
])("a store rejects $what", async ({ text }) => {
  await using store = await TestStore.start({}, DOCUMENT);
  const said = await say(store, text);
  assert.match(said, /^(?:HTTP\/1.1 431 |$)/, "it may be reset before it has read all");
  assert.equal((await store.ask("GET /data/secret")).status, 200);
});

Deno.test("a store with TLS survives anything sent instead of a handshake", async () => {
  await using dir = new TempDir();
  const { good, key, ca } = await makeCertificates(dir);
  for (const clientCa of [undefined, ca]) {
    await using store = await TestStore.start({ tls: { cert: good, key, clientCa } }, undefined);
    for (
      const text of [
        request("GET /data"),
        "\0".repeat(10_000),
        "\x16\x03\x01\x00\x01\x00",
        "\x15\x03\x03\x00\x02\x02\x28",
      ]
    ) {
      assert.doesNotMatch(await say(store, `${text}\r\n\r\n`), /HTTP|hidden/);
    }
    const pem = { cert: await Deno.readTextFile(good), key: await Deno.readTextFile(key) };
    using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(ca)], ...pem });
    const answer = await fetch(`https://localhost:${store.server.address.port}/data`, { client });
    assert.deepEqual([answer.status, await answer.json()], [200, {}]);
  }
});
