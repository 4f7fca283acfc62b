/**
 * What a plugin from elsewhere tries to reach beyond the one address in its
 * permissions: each attempt is denied, nothing is touched, and a good check
 * beside it keeps working.
 *
 * @module
 */
import assert from "node:assert/strict";
import { liveWorkerCount } from "../../src/supervisor/plugin_host.ts";
import { Sandbox } from "../support/sandbox.ts";
import { isSilent, ScriptedServer } from "../support/scripted_server.ts";

Deno.test.afterEach(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));

/** Decoys, and whether an attacker touched one. */
class Decoys implements AsyncDisposable {
  readonly secret: string;
  readonly marker: string;
  readonly socket: string;
  readonly otherPort: ScriptedServer = new ScriptedServer(isSilent);
  readonly otherAddress: ScriptedServer = new ScriptedServer(isSilent, "127.0.0.2");
  readonly #sandbox: Sandbox;
  readonly #listener: Deno.UnixListener;
  #accepted = 0;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
    this.secret = sandbox.dir.file("secret");
    this.marker = sandbox.dir.file("marker");
    this.socket = sandbox.dir.file("decoy.sock");
    Deno.writeTextFileSync(this.secret, "the secret");
    this.#listener = Deno.listen({ transport: "unix", path: this.socket });
    void this.#accept();
  }

  /** Inserts the decoys' locations into an attacker's code. */
  in(code: string): string {
    return code.replaceAll("SECRET", JSON.stringify(this.secret))
      .replaceAll("MARKER", JSON.stringify(this.marker))
      .replaceAll("SOCKET", JSON.stringify(this.socket))
      .replaceAll("OTHER_PORT", String(this.otherPort.port))
      .replaceAll("OTHER_ADDRESS_PORT", String(this.otherAddress.port))
      .replaceAll("TARGET_PORT", String(this.#sandbox.service.port));
  }

  /** Fails if a decoy was touched. */
  async areUntouched(): Promise<void> {
    assert.equal(this.otherPort.accepted + this.otherAddress.accepted + this.#accepted, 0, "nobody connected");
    assert.equal(await Deno.readTextFile(this.secret), "the secret");
    await assert.rejects(Deno.stat(this.marker), Deno.errors.NotFound);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.otherPort[Symbol.asyncDispose]();
    await this.otherAddress[Symbol.asyncDispose]();
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.#accepted++;
      connection.close();
    }
  }
}

const DENIED = /Requires (?:read|write|net|env|run|sys|ffi|import) access\b/;
const GONE = /is not defined|is not a function|is not a constructor|Cannot read properties of undefined/;

Deno.test.each([
  { what: "reads a file", probe: "return Deno.readTextFileSync(SECRET);", said: DENIED },
  { what: "reads a file by fetch", probe: "return (await fetch('file://' + SECRET)).text();", said: DENIED },
  {
    what: "reads the process's command line",
    probe: "return Deno.readTextFileSync('/proc/self/environ');",
    said: DENIED,
  },
  { what: "lists a directory", probe: "return [...Deno.readDirSync('/')].length;", said: DENIED },
  { what: "writes a file", probe: "Deno.writeTextFileSync(MARKER, 'x');", said: DENIED },
  { what: "makes a temporary file", probe: "return Deno.makeTempFileSync();", said: DENIED },
  { what: "removes a file", probe: "Deno.removeSync(SECRET);", said: DENIED },
  { what: "links a file to another place", probe: "Deno.linkSync(SECRET, MARKER);", said: DENIED },
  { what: "reads a variable", probe: "return Deno.env.get('HOME');", said: DENIED },
  { what: "reads the environment", probe: "return JSON.stringify(Deno.env.toObject());", said: DENIED },
  { what: "changes the environment", probe: "Deno.env.set('PATH', '/tmp');", said: DENIED },
  {
    what: "connects to another loopback address",
    probe: "await Deno.connect({ hostname: '127.0.0.2', port: OTHER_ADDRESS_PORT });",
    said: DENIED,
  },
  {
    what: "connects to another port of its address",
    probe: "await Deno.connect({ hostname: '127.0.0.1', port: OTHER_PORT });",
    said: DENIED,
  },
  {
    what: "writes its address in another way",
    probe: "await Deno.connect({ hostname: 'localhost', port: OTHER_PORT });",
    said: DENIED,
  },
  {
    what: "connects to another Unix socket",
    probe: "await Deno.connect({ transport: 'unix', path: SOCKET });",
    said: DENIED,
  },
  { what: "fetches from another port", probe: "await fetch('http://127.0.0.1:OTHER_PORT/');", said: DENIED },
  { what: "opens a web socket", probe: "new WebSocket('ws://127.0.0.1:OTHER_PORT/');", said: DENIED },
  {
    what: "fetches through another as its proxy",
    probe: `const client = Deno.createHttpClient({ proxy: { url: "http://127.0.0.1:OTHER_PORT" } });
      await fetch("http://" + target + "/", { client });`,
    said: DENIED,
  },
  {
    what: "fetches through a Unix socket",
    probe: `const client = Deno.createHttpClient({ proxy: { transport: "unix", path: SOCKET } });
      await fetch("http://" + target + "/", { client });`,
    said: DENIED,
  },
  { what: "leaks a secret to a name server", probe: "await Deno.resolveDns('secret.invalid', 'A');", said: DENIED },
  { what: "fetches from a name, which is looked up", probe: "await fetch('http://secret.invalid/');", said: DENIED },
  {
    what: "listens where it may connect",
    probe: "Deno.listen({ hostname: '127.0.0.1', port: TARGET_PORT });",
    said: GONE,
  },
  {
    what: "serves where it may connect",
    probe: "Deno.serve({ hostname: '127.0.0.1', port: TARGET_PORT }, () => {});",
    said: GONE,
  },
  { what: "runs a program", probe: "new Deno.Command('/bin/touch', { args: [MARKER] }).outputSync();", said: DENIED },
  {
    what: "starts a worker with more permissions",
    probe: "new Worker('data:text/javascript,1', { type: 'module', deno: { permissions: 'inherit' } });",
    said: GONE,
  },
  { what: "opens a library", probe: "Deno.dlopen('/lib/x86_64-linux-gnu/libc.so.6', {});", said: GONE },
  { what: "kills the process", probe: "Deno.kill(Deno.pid, 'SIGKILL');", said: GONE },
  { what: "kills any process", probe: "Deno.kill(1, 'SIGKILL');", said: GONE },
  { what: "ends the process", probe: "Deno.exit(0);", said: GONE },
  { what: "takes the process's signals", probe: "Deno.addSignalListener('SIGTERM', () => {});", said: GONE },
  { what: "writes to the process's output", probe: "Deno.stderr.writeSync(new Uint8Array([72]));", said: GONE },
  { what: "reads the process's input", probe: "Deno.stdin.readSync(new Uint8Array(1));", said: GONE },
  {
    what: "opens the process's output as a file",
    probe: "new Deno.FsFile(1).writeSync(new Uint8Array(1));",
    said: /^failed: /,
  },
  { what: "opens the process's output", probe: "Deno.openSync('/dev/stdout', { write: true });", said: DENIED },
  { what: "changes the working directory", probe: "Deno.chdir('/');", said: GONE },
  { what: "talks to other workers", probe: "new BroadcastChannel('x').postMessage(1);", said: GONE },
  { what: "keeps files in a cache", probe: "await caches.open('x');", said: GONE },
  { what: "starts a GPU's driver", probe: "await navigator.gpu.requestAdapter();", said: GONE },
  {
    what: "requests more permissions",
    probe: "return (await Deno.permissions.request({ name: 'read' })).state;",
    said: /denied/,
  },
  { what: "reads the host name", probe: "return Deno.hostname();", said: DENIED },
  { what: "reads the host's addresses", probe: "return Deno.networkInterfaces().length;", said: DENIED },
  {
    what: "takes Node's modules",
    probe: "return process.getBuiltinModule('node:fs').readFileSync(SECRET, 'utf8');",
    said: GONE,
  },
  { what: "makes code from a string", probe: "return (0, eval)('1');", said: /Cannot evaluate a string as code/ },
  {
    what: "makes code from a string with a constructor",
    probe: "return probeOf.constructor('return 1')();",
    said: /Cannot evaluate a string as code/,
  },
])("an attacker that $what is denied, and touches nothing", async ({ probe, said }) => {
  await using sandbox = new Sandbox();
  await using decoys = new Decoys(sandbox);
  const attempt = decoys.in(probe);
  const outcome = await sandbox.attack({
    top: "function probeOf() {}",
    probe: `
      const got = await (async () => { ${attempt} })().then((value) => "got " + value, (error) => "failed: " + error.message);
      return { status: "fail", reason: got };`,
  });
  assert.ok(outcome.status === "fail");
  assert.match(outcome.reason, said);
  assert.doesNotMatch(outcome.reason, /the secret/);
  await decoys.areUntouched();
  await sandbox.goesOn();
});

/** Spellings of 127.0.0.1, and values that a check of an address might mistake for it. */
const SPELLINGS = [
  ...["127.1", "127.0.1", "0x7f.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1"],
  ...["::ffff:127.0.0.1", "[::ffff:127.0.0.1]", "::ffff:7f00:1", "::127.0.0.1", "0:0:0:0:0:ffff:127.0.0.1"],
  ...["127.0.0.1.", "localhost.", "LOCALHOST", "127.0.0.1%lo", "127.0.0.1%x.invalid", "\uff11\uff12\uff17.0.0.1"],
  ...[
    "127\u30020\u30020\u30021",
    "\u2460\u2461\u2466.0.0.1",
    "127.0.0.1\0",
    "127.0.0.1\0.invalid",
    "127.0.0.1@127.0.0.2",
  ],
  ...[
    "a@127.0.0.1",
    " 127.0.0.1",
    "127.0.0.1 ",
    "127.0.0.1\t",
    "127.0.0.1\n",
    "127.0.0.1/",
    "127.0.0.1,127.0.0.2",
    "",
    "0",
    "*",
  ],
];

/** Code that tries to reach the decoys, whose addresses are not in the permissions. None may succeed. */
const DETOURS = [
  ...SPELLINGS.flatMap((hostname) => [
    `Deno.connect({ hostname: ${JSON.stringify(hostname)}, port: OTHER_PORT })`,
    `Deno.connectTls({ hostname: ${JSON.stringify(hostname)}, port: OTHER_PORT })`,
    `fetch(${JSON.stringify(`http://${hostname}`)} + ":OTHER_PORT/")`,
  ]),
  ...["'OTHER_PORT'", "OTHER_PORT + 65536", "-1", "OTHER_PORT + 0.5", "[OTHER_PORT]", "OTHER_PORTn", "NaN", "1e400"]
    .map((port) => `Deno.connect({ hostname: "127.0.0.1", port: ${port} })`),
  // Values that return the permitted address on the first read only.
  `Deno.connect({ hostname: "127.0.0.1", looks: 0, get port() { return this.looks++ ? OTHER_PORT : TARGET_PORT; } })
    .then((it) => it.remoteAddr.port === TARGET_PORT ? Promise.reject(new Error("read once")) : it)`,
  `Deno.connect({ port: TARGET_PORT, looks: 0, get hostname() { return this.looks++ ? "127.0.0.2" : "127.0.0.1"; } })
    .then((it) => it.remoteAddr.hostname === "127.0.0.1" ? Promise.reject(new Error("read once")) : it)`,
  `Deno.connect({ port: OTHER_PORT, hostname: { toString: () => "127.0.0.1" } })`,
  `Deno.connect({ transport: "vsock", cid: 1, port: OTHER_PORT })`,
  ...["http://127.0.0.1:TARGET_PORT@127.0.0.1:OTHER_PORT/", "http://127.0.0.1:OTHER_PORT#@127.0.0.1:TARGET_PORT/"]
    .concat("http://127.0.0.1:OTHER_PORT\\\\@127.0.0.1:TARGET_PORT/", "http:\\\\\\\\127.0.0.1:OTHER_PORT/")
    .concat(
      "http:127.0.0.1:OTHER_PORT/",
      "https://127.0.0.1:OTHER_PORT/",
      "HTTP://127.0.0.1:OTHER_PORT/?127.0.0.1:TARGET_PORT",
    )
    .concat(
      "ht\\ttp://127.0.0.1:OTHER_PORT/",
      "ftp://127.0.0.1:OTHER_PORT/",
      "ws://127.0.0.1:OTHER_PORT/",
      "gopher://127.0.0.1:OTHER_PORT/",
    )
    .concat("http+unix://SOCKET_PATH/", "unix:SOCKET_PATH", "file:SECRET_PATH", "blob:null/x", "about:blank")
    .flatMap((url) => [`fetch("${url}")`, `fetch(new Request("${url}", { method: "POST", body: "x" }))`]),
  `new WebSocketStream("ws://127.0.0.1:OTHER_PORT/").opened`,
  ...["http", "https", "socks4", "socks5", "socks5h"].map((scheme) => `{ url: "${scheme}://127.0.0.1:OTHER_PORT" }`)
    .concat(`{ transport: "tcp", hostname: "127.0.0.1", port: OTHER_PORT }`, `{ transport: "unix", path: SOCKET }`)
    .concat(
      `{ transport: "vsock", cid: 1, port: OTHER_PORT }`,
      `{ url: "http://127.0.0.1:TARGET_PORT@127.0.0.1:OTHER_PORT" }`,
    )
    .map((proxy) => `fetch("http://" + target + "/", { client: Deno.createHttpClient({ proxy: ${proxy} }) })`),
  `Deno.resolveDns("secret.invalid", "A", { nameServer: { ipAddr: "127.0.0.1", port: OTHER_PORT } })`,
];

Deno.test("no spelling of an address, port, URL or proxy gets an attacker beyond its permitted address", async () => {
  await using sandbox = new Sandbox();
  await using decoys = new Decoys(sandbox);
  const bare = (code: string) =>
    code.replaceAll("SOCKET_PATH", encodeURIComponent(decoys.socket)).replaceAll("SECRET_PATH", decoys.secret);
  const outcome = await sandbox.attack({
    probe: `const tries: readonly (() => any)[] = [() => fetch("data:,x"), ${
      DETOURS.map((code) => `() => (${decoys.in(bare(code))})`).join()
    }];
      const took: number[] = [];
      await Promise.all(tries.map(async (attempt, at) => {
        try { await attempt(); took.push(at); } catch { /* rejected */ }
      }));
      return { status: "fail", reason: "tried " + tries.length + ", took " + took.join() };`,
  }, { timeoutMs: 30_000 });
  assert.ok(outcome.status === "fail");
  const [, taken = "?"] = /, took (.*)$/.exec(outcome.reason) ?? [];
  const names = taken.split(",").map((at) => ["what needs no grant", ...DETOURS][Number(at)] ?? at);
  assert.deepEqual(names, ["what needs no grant"], outcome.reason);
  assert.match(outcome.reason, new RegExp(`^tried ${DETOURS.length + 1}, `));
  await decoys.areUntouched();
  await sandbox.goesOn();
});

Deno.test("an attacker whose own service redirects to another port does not get there", async () => {
  await using sandbox = new Sandbox();
  await using decoys = new Decoys(sandbox);
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => Response.redirect(`http://127.0.0.1:${decoys.otherPort.port}/`),
  );
  const outcome = await sandbox.attack({
    permissions: `{ net: ["127.0.0.1:${server.addr.port}"] }`,
    probe:
      `return { status: "fail", reason: await fetch("http://127.0.0.1:${server.addr.port}/").then(String, String) };`,
  }, { allow: { net: [`127.0.0.1:${server.addr.port}`] } });
  assert.ok(outcome.status === "fail");
  assert.match(outcome.reason, DENIED);
  await decoys.areUntouched();
  await sandbox.goesOn();
});

Deno.test.each([
  {
    what: "from a web server",
    top: `import { x } from "http://127.0.0.1:OTHER_PORT/mod.ts"; x;`,
    said: /http:\/\/127/,
  },
  { what: "from npm", top: `import "npm:left-pad";`, said: /npm:left-pad/ },
  { what: "from jsr", top: `import "jsr:@std/path";`, said: /jsr:/ },
  { what: "of Node's files", top: `import fs from "node:fs"; fs;`, said: /node:fs/ },
  { what: "of Node's processes", top: `import c from "node:child_process"; c;`, said: /node:child_process/ },
  { what: "of Node's workers", top: `import w from "node:worker_threads"; w;`, said: /node:worker_threads/ },
  { what: "of Node's files, later", top: `const fs = () => import("node:fs"); fs;`, said: /node:fs/ },
  { what: "from data", top: `import "data:text/javascript,1";`, said: /data:/ },
  { what: "whose specifier is computed", top: `const f = (x: string) => import("npm" + x); f;`, said: /import\(\)/ },
  { what: "of a file elsewhere", top: `import "../../../../etc/passwd.ts";`, said: /passwd/ },
  {
    what: "by an attribute",
    top: `import x from "./x.json" with { type: "json" }; x;`,
    said: /import attributes/,
  },
])(
  "an attacker that imports code $what is rejected before it runs, and nothing is requested",
  async ({ top, said }) => {
    await using sandbox = new Sandbox();
    await using decoys = new Decoys(sandbox);
    await assert.rejects(sandbox.attack({ top: decoys.in(top) }), said);
    await decoys.areUntouched();
    await sandbox.goesOn();
  },
);

Deno.test.each([
  { what: "all of the network", permissions: `{ net: ["0.0.0.0/0"] }`, said: /is not a single address/ },
  { what: "a whole host", permissions: `{ net: ["127.0.0.1"] }`, said: /is not a single address/ },
  { what: "another address", permissions: `{ net: [target, "127.0.0.2:80"] }`, said: /is not granted/ },
  { what: "all files", permissions: `{ read: ["/"] }`, said: /is not a single absolute path/ },
  { what: "a file", permissions: `{ read: ["/etc/passwd"] }`, said: /is not granted/ },
  { what: "a program", permissions: `{ run: ["/bin/sh"] }`, said: /is not granted/ },
  { what: "everything, instead of a list", permissions: `{ net: true }`, said: /net must be a list/ },
  { what: "native code", permissions: `{ ffi: ["/lib/x.so"] }`, said: /Unknown permission "ffi"/ },
  { what: "imports", permissions: `{ import: ["example.com"] }`, said: /Unknown permission "import"/ },
  {
    what: "a value with a comma, which Deno would read as two",
    permissions: `{ net: [target + ",127.0.0.2:80"] }`,
    said: /is not a single address/,
  },
  {
    what: "a value that differs on the second read",
    permissions: `new Proxy({}, { ownKeys: () => ["net"], getOwnPropertyDescriptor: () => ({ enumerable: true,
      configurable: true, value: ["10.0.0.1:1"] }) })`,
    said: /net must be a list/,
  },
])("an attacker that asks for $what is not started", async ({ permissions, said }) => {
  await using sandbox = new Sandbox();
  await assert.rejects(sandbox.attack({ permissions }), said);
  await sandbox.goesOn();
});
