/**
 * `lighthouse store get|put|…` as people and scripts type it, against a real store.
 *
 * @module
 */
import assert from "node:assert/strict";
import { edit } from "../../src/cli/store_edit.ts";
import { parseJson } from "../../src/store/json_text.ts";
import { formatTreeChange } from "../../src/store/tree_changes.ts";
import config from "../../deno.json" with { type: "json" };
import { makeCertificates } from "../support/certificates.ts";
import { type CliResult, runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";
import { TestStore } from "./stage.ts";

/** Runs a store command: its words, then further arguments. */
function run(
  store: TestStore,
  args: readonly string[],
  options: Parameters<typeof runCli>[1] = {},
): Promise<CliResult> {
  return runCli(["store", ...args, "--at", `127.0.0.1:${store.server.address.port}`], options);
}

const document = async (store: TestStore) => JSON.parse((await store.ask("GET /data")).text);

Deno.test("lighthouse store get, put and delete: values as JSON or raw, exit codes for scripts", async () => {
  await using store = await TestStore.start({}, { web: { port: 8080, owner: "alice" } });
  const rows: readonly (readonly [
    args: readonly string[],
    code: number,
    stdout: string,
    stderr?: RegExp | undefined,
    stdin?: string,
  ])[] = [
    [["get", "/web"], 0, '{\n  "owner": "alice",\n  "port": 8080\n}\n'],
    [["get", "web/owner"], 0, '"alice"\n'],
    [["get", "/web/owner", "--raw"], 0, "alice\n"],
    [["get", "/web", "--raw"], 0, '{"owner":"alice","port":8080}\n'],
    [["get", "/nothing/here"], 1, "", /^No value at \/nothing\/here\n$/],
    [["get", "/%FF"], 2, "", /./],
    [["put", "/web/port", "9090"], 0, ""],
    [["put", "/web/owner", "bob", "--raw"], 0, ""],
    [["put", "/web/tags"], 0, "", undefined, '["a", "b"]\n'],
    [["put", "/web/note", "-", "--raw"], 0, "", undefined, "two\nlines"],
    [["put", "/web/owner", "bob"], 1, "", /Cannot parse the body as JSON.*--raw/],
    [["put", "/new/a%2Fb/c", "1"], 1, "", /Cannot find \/new\/a%2Fb\/c/],
    [["put", "/new/a%2Fb/c", "1", "--parents"], 0, ""],
    [["delete", "/web/tags"], 0, ""],
    [["delete", "/web/tags"], 1, "", /No value at \/web\/tags/],
    [
      ["get"],
      0,
      '{\n  "new": {\n    "a/b": {\n      "c": 1\n    }\n  },\n  "web": {\n    "note": "two\\nlines",\n    ' +
      '"owner": "bob",\n    "port": 9090\n  }\n}\n',
    ],
  ];
  for (const [args, code, stdout, stderr = /^$/, stdin] of rows) {
    const result = await run(store, args, stdin === undefined ? {} : { stdin });
    assert.deepEqual({ code: result.code, stdout: result.stdout }, { code, stdout }, `${args}: ${result.stderr}`);
    assert.match(result.stderr, stderr, args.join(" "));
  }
  assert.equal(store.server.store.lock, undefined, "no lock is left behind");
});

Deno.test("lighthouse store put waits for a held lock up to --wait", async () => {
  await using store = await TestStore.start({}, {});
  await store.ask("PUT /lock", "other");
  const refused = await run(store, ["put", "/n", "1", "--wait", "0"]);
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.match(refused.stderr, /held by another client/);
  const waiting = run(store, ["put", "/n", "1"]);
  await store.ask("PUT /update/other/m", 2);
  await store.ask("PUT /lock/other");
  assert.equal((await waiting).code, 0);
  assert.deepEqual(await document(store), { m: 2, n: 1 });
});

Deno.test("lighthouse store names the store that it cannot reach", async () => {
  const address = `127.0.0.1:${freePort()}`;
  const { code, stdout, stderr } = await runCli(["store", "get", "--at", address]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, new RegExp(`^Cannot reach the store at ${address}: .*Connection refused`));
});

Deno.test("lighthouse store edit commits and shows the edited part, and keeps changes of others", async () => {
  await using store = await TestStore.start({}, { web: { port: 1, hosts: ["a"] }, other: 1 });
  const lease = { ttl: 60, keys: { "/web/node": 1 } };
  // Changes of others while the editor is open: with a lease, and with a commit.
  const at = `http://127.0.0.1:${store.server.address.port}`;
  const others = `curl -sf -X PUT -d '${JSON.stringify(lease)}' ${at}/lease/l; curl -sf -X PUT -d x ${at}/lock; ` +
    `curl -sf -X PUT -d 2 ${at}/update/x/other; curl -sf -X PUT ${at}/lock/x`;
  const editor = `(${others}) >/dev/null; sed -i 's/"port": 1/"port": 2, "new": "\\\\u001b"/'`;
  const { code, stderr, stdout } = await run(store, ["edit"], { variables: { EDITOR: editor } });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "");
  assert.equal(stderr, '+ /web/new: "\\u001b"\n- /web/port: 1\n+ /web/port: 2\n');
  assert.deepEqual(await document(store), { web: { port: 2, hosts: ["a"], new: "\u001b", node: 1 }, other: 2 });

  const same = `curl -sf -X PUT -d x ${at}/lock >/dev/null; curl -sf -X PUT -d 7 ${at}/update/x/web/port >/dev/null; ` +
    `curl -sf -X PUT ${at}/lock/x >/dev/null; sed -i 's/"port": 2/"port": 3/'`;
  const raced = await run(store, ["edit", "/web"], { variables: { VISUAL: same, EDITOR: "false" } });
  assert.equal(raced.code, 1);
  assert.match(raced.stderr, /Conflict: \/web\/port was changed by another client/);
  const [, kept = ""] = /Your edit is in (\S+)/.exec(raced.stderr) ?? [];
  assert.match(await Deno.readTextFile(kept), /"port": 3/);
  await Deno.remove(kept);
  assert.equal((await document(store)).web.port, 7);
});

Deno.test("lighthouse store edit changes nothing after no edit, a failed editor, or invalid JSON", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  const { version } = store.server.store.copy;
  const rows: readonly (readonly [editor: string, code: number, stderr: RegExp])[] = [
    ["true", 0, /^Nothing changed\n$/],
    ["sed -i 's/$/  /'", 0, /^Nothing changed\n$/],
    ["exit 3;", 1, /^Editor exit status 3; nothing changed\n$/],
    ["echo '{' >", 1, /Cannot parse the body as JSON[^\n]*\nNothing changed; your edit is in (\S+)\n$/],
  ];
  for (const [EDITOR, code, pattern] of rows) {
    const result = await run(store, ["edit"], { variables: { EDITOR } });
    assert.equal(result.code, code, result.stderr);
    const [, kept] = pattern.exec(result.stderr) ?? assert.fail(result.stderr);
    if (kept !== undefined) await Deno.remove(kept);
  }
  assert.equal((await run(store, ["edit", "/nothing"], { variables: { EDITOR: "true" } })).code, 1);
  assert.deepEqual(store.server.store.copy.version, version);
});

Deno.test("edit() asks again until the result is valid and confirmed", async () => {
  const texts = ["{", '{"n": 2}', '{"n": 3}'];
  const answers = ["y", "e", "y"];
  const asked: string[] = [];
  const said: string[] = [];
  const edited = await edit([], parseJson('{"n": 1}', { depthMax: 9 }), {
    runEditor: async (file) => {
      await Deno.writeTextFile(file, texts.shift() ?? "");
      return 0;
    },
    ask: (question) => {
      asked.push(question);
      return answers.shift();
    },
    complain: (line) => said.push(line),
  });
  assert.ok("changes" in edited);
  await Deno.remove(edited.file);
  assert.deepEqual(edited.changes.map(formatTreeChange), ["- /n: 1\n+ /n: 3"]);
  assert.deepEqual(asked, [
    "Edit again?",
    "Commit these changes, or edit again?",
    "Commit these changes, or edit again?",
  ]);
  assert.deepEqual(said.slice(1), ["- /n: 1\n+ /n: 2", "- /n: 1\n+ /n: 3"]);
});

Deno.test("lighthouse store watch prints a line for each change, until SIGTERM", async () => {
  await using store = await TestStore.start({}, { n: { m: 0 } });
  const address = `127.0.0.1:${store.server.address.port}`;
  const args = [...config.tasks.lighthouse.command.split(" ").slice(1), "store", "watch", "/n", "--at", address];
  const root = new URL("../..", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), { args, cwd: root, stdout: "piped", stderr: "null" }).spawn();
  let printed = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) printed += text;
  })();
  await eventually("the first line", () => printed === '{"m":0}\n');
  await store.commit([["PUT", "/other", 1]]);
  await store.commit([["PUT", "/n", "text"]]);
  await eventually("the second line", () => printed === '{"m":0}\n"text"\n');
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await reading;
});

Deno.test("lighthouse store export and import copy a document without the keys of leases", async () => {
  await using dir = new TempDir();
  await using from = await TestStore.start({}, { web: { port: 1 }, list: [1, { a: null }] });
  await using to = await TestStore.start({}, { web: { port: 0, old: true } });
  for (const [store, name] of [[from, "a"], [to, "b"]] as const) {
    assert.equal((await store.ask("PUT /lease/l", { ttl: 60, keys: { [`/web/nodes/${name}`]: 1 } })).status, 201);
  }
  const exported = await run(from, ["export"]);
  assert.deepEqual(JSON.parse(exported.stdout), { web: { port: 1, nodes: {} }, list: [1, { a: null }] });
  const file = await dir.write("export.json", exported.stdout);
  const imported = await run(to, ["import", file]);
  assert.equal(imported.code, 0, imported.stderr);
  assert.equal(imported.stderr, '+ /list: [1,{"a":null}]\n- /web/old: true\n- /web/port: 0\n+ /web/port: 1\n');
  assert.deepEqual(await document(to), { web: { port: 1, nodes: { b: 1 } }, list: [1, { a: null }] });
  assert.match((await run(to, ["import", file, "--yes"])).stderr, /^Nothing changed\n$/);
  const there = await run(to, ["import", "-", "/copies/first"], { stdin: exported.stdout });
  assert.equal(there.code, 0, there.stderr);
  assert.deepEqual((await document(to)).copies.first, JSON.parse(exported.stdout));
  assert.equal((await run(to, ["import", dir.file("missing.json")])).code, 1);
});

Deno.test("lighthouse store sends a token from a file over TLS with --ca, and never prints it", async () => {
  await using dir = new TempDir();
  const { good, key, ca } = await makeCertificates(dir);
  const token = "web-rights-0123456789";
  const tokensFile = await dir.write("tokens.yaml", `- {name: web, token: ${token}, read: [/], write: [/web]}\n`);
  const tokenFile = await dir.write("token", `${token}\n`);
  await using store = await TestStore.start({ tls: { cert: good, key }, tokensFile });
  const shown = ["--ca", ca, "--token-file", tokenFile];
  const rows: readonly (readonly [args: readonly string[], code: number, stderr: RegExp])[] = [
    [["put", "/web", "1", ...shown], 0, /^$/],
    [["put", "/db", "1", ...shown], 1, /Cannot change \/db: permission denied/],
    [["get", "/web", ...shown], 0, /^$/],
    [["get", "/web", "--ca", ca], 1, /unknown or missing token/],
    [["get", "/web", "--token-file", tokenFile], 1, /Cannot reach the store/],
  ];
  for (const [args, code, stderr] of rows) {
    const result = await run(store, args);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, stderr);
    assert.ok(!`${result.stderr}${result.stdout}`.includes("0123456789"));
  }
});
