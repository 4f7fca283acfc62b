/**
 * Plugins by URL and by file: fetched from a real server, verified, cached, and
 * each fault reported. The daemon with them is in `plugin_daemon_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { CATALOG } from "../../src/app/plugins.ts";
import { type LoadedPlugins, PluginLoader } from "../../src/app/plugin_loader.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings_schema.ts";
import { readPlugins } from "../../src/config/plugins_schema.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { Describer } from "../../src/supervisor/describer.ts";
import { liveWorkerCount } from "../../src/supervisor/plugin_host.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { checkSource, hashOf, PluginServer, servedBelow } from "../support/plugin_server.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A directory with a cache and a config directory, and loaders that use them. */
class Place implements AsyncDisposable {
  readonly dir: TempDir = new TempDir("lighthouse-plugins-");
  readonly #stack = new AsyncDisposableStack();
  lates = 0;

  loader(): PluginLoader {
    return this.#stack.use(
      new PluginLoader({
        builtins: CATALOG,
        cacheDir: this.dir.file("cache"),
        clock: systemClock,
        random: Math.random,
        log: SILENT,
        onLate: () => void this.lates++,
      }),
    );
  }

  /** Loads entries of `checks`. */
  load(loader: PluginLoader, checks: unknown, waitMs = Infinity): Promise<LoadedPlugins> {
    const { value, findings } = readPlugins({ checks });
    assert.deepEqual(findings, []);
    assert.ok(value !== undefined);
    return loader.load({ plugins: value, settings: DEFAULT_SETTINGS }, { dir: this.dir.file("config"), waitMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** The findings, as `path: message`. */
function told({ findings }: LoadedPlugins): string {
  return findings.map(({ path, message }) => `${path.join(".")}: ${message}`).join("\n");
}

Deno.test.afterEach(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));

Deno.test("a plugin of several TypeScript modules is loaded by URL, and describes itself without permissions", async () => {
  await using place = new Place();
  const source = checkSource();
  await using server = new PluginServer(servedBelow("/1.0", source));
  const url = server.url("/1.0/mod.ts");
  const loaded = await place.load(place.loader(), { memcached: { url, sha256: await hashOf(source) } });
  assert.equal(told(loaded), "");
  const found = loaded.catalog.find("check", "memcached");
  assert.equal(found?.origin, "foreign");
  assert.match(found?.module ?? "", /^data:text\/javascript/);
  assert.deepEqual(server.asked.toSorted(), ["/1.0/lib/connect.ts", "/1.0/mod.ts"]);
  await using describer = new Describer({ clock: systemClock });
  const described = await describer.describe(found?.module ?? "", {}, { instance: "x", target: "127.0.0.1:1" });
  assert.deepEqual(described, { ok: true, config: {}, permissions: { net: ["127.0.0.1:1"] } });
});

Deno.test("a verified plugin is loaded again without its server, whatever its source", async () => {
  await using place = new Place();
  const source = checkSource();
  const sha256 = await hashOf(source);
  const server = new PluginServer(servedBelow("/1.0", source));
  const first = await place.load(place.loader(), { memcached: { url: server.url("/1.0/mod.ts"), sha256 } });
  assert.equal(told(first), "");
  await server[Symbol.asyncDispose]();
  const again = await place.load(place.loader(), { memcached: { url: "https://elsewhere.invalid/mod.ts", sha256 } });
  assert.equal(told(again), "");
  assert.deepEqual(again.catalog.find("check", "memcached"), first.catalog.find("check", "memcached"));
});

Deno.test("the cache is not trusted: a changed copy is fetched again, or rejected", async () => {
  await using place = new Place();
  const source = checkSource();
  const sha256 = await hashOf(source);
  const server = new PluginServer(servedBelow("", source));
  const entry = { memcached: { url: server.url("/mod.ts"), sha256 } };
  await place.load(place.loader(), entry);
  const file = place.dir.file(`cache/plugins/${sha256}.json`);
  const good = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, good.replace("has probed", "has lied"));
  assert.equal(told(await place.load(place.loader(), entry)), "");
  assert.equal(await Deno.readTextFile(file), good);
  await Deno.writeTextFile(file, good.replace("has probed", "has lied"));
  await server[Symbol.asyncDispose]();
  const refused = await place.load(place.loader(), entry);
  assert.match(told(refused), /^checks\.memcached\.url: Cannot read http:.*refused.*; no verified copy in \//);
  assert.equal(refused.catalog.find("check", "memcached"), undefined);
});

Deno.test("modules that differ from the approved ones are rejected with both hashes and the command, and the last good ones stay active", async () => {
  await using place = new Place();
  const [source, changed] = [checkSource(), checkSource({ version: 2 })];
  const [sha256, other] = [await hashOf(source), await hashOf(changed)];
  await using server = new PluginServer(servedBelow("", source));
  const loader = place.loader();
  const url = server.url("/mod.ts");
  const first = await place.load(loader, { memcached: { url, sha256 } });
  const wrong = await place.load(loader, { memcached: { url, sha256: other } });
  const dir = place.dir.file("config");
  assert.equal(
    told(wrong),
    `checks.memcached.sha256: Cannot use the plugin memcached: the code does not match its approved hash; ` +
      `expected sha256 ${other}, ` +
      `received ${sha256}. Review the changes, then run: lighthouse plugin update memcached --config ${dir}; ` +
      "its last good version stays active",
  );
  assert.equal(wrong.catalog, first.catalog, "nothing has changed for its users");
  for (const [path, text] of Object.entries(changed)) server.files.set(`/${path}`, text);
  loader.retry();
  const right = await place.load(loader, { memcached: { url, sha256: other } });
  assert.equal(told(right), "");
  assert.notEqual(right.catalog.find("check", "memcached")?.module, first.catalog.find("check", "memcached")?.module);
});

Deno.test("a plugin's address may redirect within its origin, and nowhere else", async () => {
  await using place = new Place();
  const source = checkSource();
  const sha256 = await hashOf(source);
  await using other = new PluginServer(servedBelow("", source));
  await using server = new PluginServer({
    ...servedBelow("/1.0", source),
    "/latest": () => new Response(null, { status: 302, headers: { location: "/1.0/mod.ts" } }),
    "/away": () => Response.redirect(other.url("/mod.ts")),
    "/round": () => new Response(null, { status: 307, headers: { location: "/round" } }),
    "/moved/mod.ts": source["mod.ts"] ?? "",
    "/moved/lib/connect.ts": () => new Response(null, { status: 301, headers: { location: "/1.0/lib/connect.ts" } }),
  });
  const load = async (path: string) =>
    told(await place.load(place.loader(), { memcached: { url: server.url(path), sha256: "0".repeat(64) } }));
  assert.equal(told(await place.load(place.loader(), { memcached: { url: server.url("/latest"), sha256 } })), "");
  assert.match(
    await load("/away"),
    /redirected to another origin, http:\/\/127\.0\.0\.1:\d+\/mod\.ts; if that origin is trusted/,
  );
  assert.deepEqual(other.asked, []);
  assert.match(await load("/round"), /more than 5 redirects/);
  assert.match(await load("/moved/mod.ts"), /only the plugin's own URL may redirect/);
});

const FINE =
  "config: { '~standard': { version: 1, vendor: 'x', validate: (value) => ({ value }) } }, permissions: () => ({})";

Deno.test.each([
  { what: "no plugin", text: "export const a = 1;", fault: /not a plugin: the module has no default export/ },
  {
    what: "a plugin that lacks something",
    text: "export default { kind: 'check', apiVersion: 1 }",
    fault: /: name must be a string/,
  },
  {
    what: "another kind",
    text:
      `export default { kind: "discovery", apiVersion: 1, name: "x", summary: "", stability: "stable", capabilities: ["watch"], open() {}, ${FINE} }`,
    fault: /Cannot use the plugin as a check: the plugin is a discovery/,
  },
  {
    what: "another API version",
    text: "export default { kind: 'check', apiVersion: 2, name: 'x', summary: '', stability: 'stable' }",
    fault: /written for API version 2; this version of Lighthouse supports version 1/,
  },
  { what: "what throws", text: "throw new Error('at once')", fault: /cannot load the plugin: at once/ },
  {
    what: "a module that reads a file while loading",
    text: "Deno.readTextFileSync('/etc/passwd')",
    fault: /read access to/,
  },
  { what: "a computed import", text: "await import('np' + 'm:x')", fault: /mod\.ts:1:14: Cannot use import\(\)/ },
  { what: "a package", text: "import x from 'npm:left-pad';", fault: /mod\.ts:1:15: Cannot import "npm:left-pad": / },
  {
    what: "another origin",
    text: "import 'https://example.com/x.ts';",
    fault: /Cannot import "https:\/\/example.com\/x.ts"/,
  },
  { what: "no TypeScript", text: "const = 1;", fault: /mod\.ts:1:7: / },
  {
    what: "a module that overflows the parser",
    text: `const a = ${"(".repeat(50_000)};`,
    fault: /too large for the parser/,
  },
  {
    what: "a module that overflows another parser",
    text: `1${"+1".repeat(100_000)};`,
    fault: /too large for the parser/,
  },
  { what: "a cycle", text: "import './mod.ts';", fault: /cyclic imports: mod\.ts imports mod\.ts/ },
  { what: "a missing module", text: "import './a.ts';", fault: /a\.ts: HTTP status 404/ },
  { what: "a large module", text: " ".repeat(1024 * 1024 + 1), fault: /larger than 1048576 bytes/ },
])("$what is rejected by name, and affects nobody else", async ({ text, fault }) => {
  await using place = new Place();
  await using server = new PluginServer({
    "/mod.ts": text,
    "/good/mod.js": `export default { kind: "check", apiVersion: 1,
    name: "x", summary: "", stability: "stable", probe() {}, ${FINE} }`,
  });
  await place.dir.write("config/good.js", String(server.files.get("/good/mod.js")));
  const sha256 = await hashOf({ "mod.ts": text });
  const loaded = await place.load(place.loader(), {
    bad: { url: server.url("/mod.ts"), sha256 },
    good: { url: "good.js" },
  });
  assert.match(told(loaded), fault);
  assert.match(told(loaded), /^checks\.bad\.url: [^\n]*$/);
  assert.deepEqual([loaded.catalog.find("check", "bad"), loaded.catalog.find("check", "good")?.origin], [
    undefined,
    "foreign",
  ]);
  assert.equal(loaded.catalog.missing("check", "bad"), "not loaded");
});

/** Spaces by the megabyte. */
function* endless(megabytes = Infinity): Generator<string> {
  for (let i = 0; i < megabytes; i++) yield " ".repeat(1024 * 1024);
}

Deno.test.each([
  {
    what: "a web page",
    answer: () => new Response("<html>", { headers: { "content-type": "text/html; charset=utf-8" } }),
    fault: /a web page/,
  },
  {
    what: "invalid UTF-8",
    answer: () => new Response(new Uint8Array([0xff, 0xfe])),
    fault: /: not valid UTF-8/,
  },
  { what: "an error", answer: () => new Response("", { status: 500 }), fault: /HTTP status 500/ },
  {
    what: "an endless response",
    answer: () => new Response(ReadableStream.from(endless()).pipeThrough(new TextEncoderStream())),
    fault: /larger than 1048576 bytes/,
  },
  {
    what: "300 MB in few bytes",
    answer: () =>
      new Response(
        ReadableStream.from(endless(300)).pipeThrough(new TextEncoderStream()).pipeThrough(
          new CompressionStream("gzip"),
        ),
        {
          headers: { "content-encoding": "gzip" },
        },
      ),
    fault: /larger than 1048576 bytes/,
  },
  ...[
    "file:///etc/passwd",
    "data:text/javascript,1",
    "http://127.0.0.1:1\\@127.0.0.1/",
    "//127.0.0.1:1/mod.ts",
    "ftp://127.0.0.1/",
  ].map((location) => ({
    what: `the way to ${location}`,
    answer: () => new Response(null, { status: 302, headers: { location } }),
    fault: /redirected to another origin|Cannot read http:/,
  })),
])("$what instead of a module is reported as such", async ({ answer, fault }) => {
  await using place = new Place();
  await using server = new PluginServer({ "/mod.ts": answer });
  const loaded = await place.load(place.loader(), { x: { url: server.url("/mod.ts"), sha256: "0".repeat(64) } });
  assert.match(told(loaded), fault);
});

Deno.test("a plugin cannot take the name of one that ships", async () => {
  await using place = new Place();
  await place.dir.write("config/mod.ts", checkSource()["mod.ts"] ?? "");
  const loaded = await place.load(place.loader(), { tcp: { url: "mod.ts" } });
  assert.match(told(loaded), /Cannot use the name tcp: a built-in check has this name; choose another/);
  assert.equal(loaded.catalog.find("check", "tcp")?.origin, "builtin");
});

Deno.test("a plugin that is a file needs no hash, and is loaded again when it or an import has changed", async () => {
  await using place = new Place();
  for (const [path, text] of Object.entries(checkSource())) await place.dir.write(`config/plugins/${path}`, text);
  const loader = place.loader();
  const entry = { memcached: { url: "./plugins/mod.ts" } };
  const first = await place.load(loader, entry);
  assert.equal(told(first), "");
  assert.equal((await place.load(loader, entry)).catalog, first.catalog);
  await place.dir.write("config/plugins/lib/connect.ts", "export async function connect() {}");
  const second = await place.load(loader, entry);
  assert.notEqual(second.catalog.find("check", "memcached")?.module, first.catalog.find("check", "memcached")?.module);
  await place.dir.write("config/plugins/lib/connect.ts", "export async function connect() {");
  const broken = await place.load(loader, entry);
  assert.match(told(broken), /lib\/connect\.ts:1:3[45]: .*; its last good version stays active$/);
  assert.equal(broken.catalog, second.catalog);
});

Deno.test("a file must match its hash, after a restart too", async () => {
  await using place = new Place();
  const source = checkSource();
  for (const [path, text] of Object.entries(source)) await place.dir.write(`config/${path}`, text);
  const entry = { memcached: { url: `file://${place.dir.file("config")}/mod.ts`, sha256: await hashOf(source) } };
  const first = await place.load(place.loader(), entry);
  assert.equal(told(first), "");
  await place.dir.write("config/lib/connect.ts", "export async function connect() {}");
  const again = await place.load(place.loader(), entry);
  assert.match(
    told(again),
    /the code does not match its approved hash; .*; the approved version stays active, from the cache$/,
  );
  assert.deepEqual(again.catalog.find("check", "memcached"), first.catalog.find("check", "memcached"));
});

Deno.test("a server that does not answer delays nothing, and its plugin is loaded once it does", async () => {
  await using place = new Place();
  const source = checkSource();
  const answered = Promise.withResolvers<void>();
  await using server = new PluginServer({
    ...servedBelow("", source),
    "/mod.ts": () => answered.promise.then(() => new Response(source["mod.ts"])),
  });
  const loader = place.loader();
  const entry = { memcached: { url: server.url("/mod.ts"), sha256: await hashOf(source) } };
  const early = await place.load(loader, entry, 1);
  assert.match(told(early), /Plugin memcached is still loading/);
  assert.equal(early.catalog.missing("check", "memcached"), "still loading");
  assert.equal(told(await place.load(loader, entry)), told(early), "it is waited for once");
  answered.resolve();
  await eventually("the change is reported", () => place.lates === 1);
  const late = await place.load(loader, entry, 1);
  assert.equal(told(late), "");
  assert.equal(late.catalog.find("check", "memcached")?.origin, "foreign");
});

Deno.test("a loader that ends aborts its fetches", async () => {
  await using place = new Place();
  const never = Promise.withResolvers<Response>();
  const asked: Request[] = [];
  await using server = new PluginServer({
    "/mod.ts": (request) => {
      asked.push(request);
      return never.promise;
    },
  });
  const loader = place.loader();
  await place.load(loader, { x: { url: server.url("/mod.ts"), sha256: "0".repeat(64) } }, 1);
  const [request] = await eventually("the server receives a query", () => asked.length > 0 && asked);
  assert.equal(request?.signal.aborted, false, "it is still being fetched");
  await loader[Symbol.asyncDispose]();
  await eventually("the request is given up", () => request?.signal.aborted);
  never.resolve(new Response(""));
  assert.deepEqual(server.asked, ["/mod.ts"], "it is not tried again");
  assert.equal(place.lates, 0, "the fetch was aborted before its own deadline");
});

Deno.test("a plugin removed from plugins.yaml is unloaded", async () => {
  await using place = new Place();
  await place.dir.write("config/mod.js", "export default {}");
  const loader = place.loader();
  const unreachable = { url: `http://127.0.0.1:${freePort()}/mod.ts`, sha256: "0".repeat(64) };
  assert.equal((await place.load(loader, { x: unreachable, y: { url: "mod.js" } })).findings.length, 2);
  const none = await place.load(loader, {});
  assert.deepEqual([none.findings, none.catalog.missing("check", "x")], [[], undefined]);
});
