/** The page of a store, in a real browser. */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { TempDir } from "../support/temp_dir.ts";
import { TestStore } from "./stage.ts";

Deno.test.beforeAll(() => setUp(["chromium"]));

/** A page in a browser: its final DOM, and the browser's log. */
async function browse(url: string): Promise<{ readonly dom: string; readonly said: string }> {
  await using profile = new TempDir("lighthouse-browser-");
  const { stdout, stderr, success } = await new Deno.Command("chromium", {
    args: [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
      ...["--disable-background-networking", "--enable-logging=stderr", "--virtual-time-budget=3000"],
      ...[`--user-data-dir=${profile.path}`, "--dump-dom", url],
    ],
    env: { HOME: profile.path, HTTP_PROXY: "", http_proxy: "" },
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  const [dom, said] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(success, said);
  return { dom: dom ?? "", said: said ?? "" };
}

/** Markup that would reveal itself if it ran, for every way that a string gets into a page. */
const HOSTILE = [
  `<img src=x onerror="document.title='owned'">`,
  `</title></style><script>document.title='owned'</script>`,
  `"><svg onload="document.title='owned'">`,
  `'><a href="javascript:document.title='owned'" autofocus onfocus="document.title='owned'">`,
  `&lt;b&gt;<b>`,
];

Deno.test("the page shows the document, the version, the lock, leases and the cluster", async () => {
  await using store = await TestStore.start({ seeds: ["127.0.0.1:9"] }, {
    services: { web: { port: 8080, hosts: ["a", "b"], none: null } },
  });
  await store.ask("PUT /lease/app01", { ttl: 60, keys: { "/services/web/node": { up: true } } });
  await store.ask("PUT /lock", "me");
  const { dom, said } = await browse(store.url);
  const text = dom.replace(/<[^>]*>/g, "").replaceAll("&quot;", '"');
  const { version } = store.server.store.copy;
  const shown = [`2-${version.checksum}`, "held by somebody", "port: 8080", 'hosts [ ] 20: "a"1: "b"', "none: null"];
  for (const each of [...shown, "up: true", "app01", "60 s/services/web/node", "127.0.0.1:9unreachable"]) {
    assert.ok(text.includes(each), `${each}: ${text}`);
  }
  assert.ok(!said.includes("Content Security Policy"), said);
  const below = await browse(`${store.url}/?path=%2Fservices%2Fweb%2Fhosts`);
  assert.match(below.dom, /"b"/);
  assert.ok(!below.dom.includes("8080"));
  assert.match((await browse(`${store.url}/?path=%2Fnothing`)).dom, /no value/);
});

Deno.test("the page runs no stored markup, under any name", async () => {
  const document = Object.fromEntries(HOSTILE.map((text) => [text, { [text]: [text] }]));
  await using store = await TestStore.start({}, document);
  const name = encodeURIComponent(HOSTILE[1] ?? "");
  await store.ask(`PUT /lease/${name}`, {
    ttl: 60,
    keys: { [`/${encodeURIComponent(HOSTILE[0] ?? "")}/k`]: HOSTILE[2] },
  });
  for (const path of ["/", `/?path=/${name}`, `/?path=${encodeURIComponent(HOSTILE[2] ?? "")}`]) {
    const { dom } = await browse(`${store.url}${path}`);
    assert.match(dom, /<title>127\.0\.0\.1:\d+ - Lighthouse store<\/title>/);
    assert.ok(!/<(?:img|script|svg|b)\b/.test(dom), dom);
    for (const [, href] of dom.matchAll(/<a href="([^"]*)"/g)) assert.match(href ?? "", /^\//);
  }
});

Deno.test("the page has a strict content security policy, and a bounded size", async () => {
  const many = Object.fromEntries(Array.from({ length: 12_000 }, (_, i) => [`key${i}`, "x".repeat(1_200)]));
  await using store = await TestStore.start({}, many);
  const { text, headers, status } = await store.ask("GET /", undefined, { accept: "text/html,*/*;q=0.8" });
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'; style-src 'sha256-[\w+/=]{44}';/);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.ok(text.length < 3_000_000);
  assert.match(text, /10001 more/);
  assert.ok(!/<script|https?:\/\//.test(text), "no scripts, no external resources");
});

Deno.test("GET / is JSON for a program", async () => {
  await using store = await TestStore.start();
  for (const accept of ["*/*", "application/json", ""]) {
    const { headers } = await store.ask("GET /", undefined, { accept });
    assert.equal(headers.get("content-type"), "application/json");
  }
});

Deno.test("the page shows what the token in the password may read", async () => {
  await using dir = new TempDir();
  const token = "web-rights-0123456789";
  const tokensFile = await dir.write("tokens.yaml", `- {name: web, token: ${token}, write: [/web]}\n`);
  await using store = await TestStore.start({ tokensFile });
  const authorization = `Bearer ${token}`;
  assert.equal(
    (await store.ask("PUT /lease/l", { ttl: 60, keys: { "/web/k": "seen" } }, { authorization })).status,
    201,
  );
  const html = { accept: "text/html" };
  const rejected = await store.ask("GET /", undefined, html);
  assert.deepEqual([rejected.status, rejected.headers.get("www-authenticate")], [
    401,
    'Basic realm="token as password"',
  ]);
  assert.equal((await store.ask("GET /")).headers.get("www-authenticate"), "Bearer");
  const basic = { ...html, authorization: `Basic ${btoa(`anyone:${token}`)}` };
  const whole = await store.ask("GET /", undefined, basic);
  assert.equal(whole.status, 200);
  assert.match(whole.text, /permission denied/);
  assert.match((await store.ask("GET /?path=/web", undefined, basic)).text, /&#34;seen&#34;/);
  for (const wrong of ["Basic !", `Basic ${btoa("x:y")}`, `Basic ${btoa("x")}`]) {
    assert.equal((await store.ask("GET /", undefined, { authorization: wrong })).status, 401);
  }
  assert.equal((await store.ask("GET /metrics")).status, 401);
  assert.equal((await store.ask("GET /metrics", undefined, { authorization })).status, 200);
});
