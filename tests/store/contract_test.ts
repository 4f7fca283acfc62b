/**
 * The contract of the store, row by row: request, status, and body. A refusal
 * has its reason under `error`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { TestStore } from "./stage.ts";

/** A request, its body, and the expected status and body text or value. */
type Step = readonly [line: string, body: unknown, status: number, wanted?: unknown];

interface Row {
  readonly row: string;
  readonly steps: readonly Step[];
}

/** Stands for no body. */
const NONE = undefined;

const DOCUMENT = { a: { b: [10, 20, { c: "deep" }], empty: {}, null: null }, "k/1": "slash", "ü": true };
const LOCK: Step = ["PUT /lock", "me", 200, "Acquired"];

const ROWS: readonly Row[] = [
  { row: "GET /", steps: [["GET /", NONE, 200]] },
  { row: "PUT /, DELETE /", steps: [["PUT /", "x", 403, "Forbidden"], ["DELETE /", NONE, 403, "Forbidden"]] },
  {
    row: "any unknown path",
    steps: [
      ["GET /nothing", NONE, 404, "Not Found"],
      ["PUT /nothing", "x", 404, "Not Found"],
      ["DELETE /nothing", NONE, 404, "Not Found"],
      ["GET /version/x", NONE, 404, "Not Found"],
    ],
  },
  { row: "any other method", steps: [["POST /data", "x", 405, "Method Not Allowed"]] },
  {
    row: "GET /data[/path]",
    steps: [
      ["GET /data", NONE, 200, DOCUMENT],
      ["GET /data/", NONE, 200, DOCUMENT],
      ["GET /data/a/b", NONE, 200, [10, 20, { c: "deep" }]],
      ["GET /data/a/b/", NONE, 200, [10, 20, { c: "deep" }]],
      ["GET /data/a/b/1", NONE, 200, 20],
      ["GET /data/a/b/2/c", NONE, 200, "deep"],
      ["GET /data/a/empty", NONE, 200, {}],
      ["GET /data/a/null", NONE, 200, null],
      ["GET /data/k%2F1", NONE, 200, "slash"],
      ["GET /data/%C3%BC", NONE, 200, true],
    ],
  },
  {
    row: "GET /data/path that is not there",
    steps: [
      ["GET /data/x", NONE, 404, "Not Found"],
      ["GET /data/a/b/3", NONE, 404, "Not Found"],
      ["GET /data/a/b/-1", NONE, 404, "Not Found"],
      ["GET /data/a/b/01", NONE, 404, "Not Found"],
      ["GET /data/a/b/length", NONE, 404, "Not Found"],
      ["GET /data/a/b/1/x", NONE, 404, "Not Found"],
      ["GET /data/a//b", NONE, 404, "Not Found"],
      ["GET /data/__proto__", NONE, 404, "Not Found"],
      ["GET /data/constructor", NONE, 404, "Not Found"],
      ["GET /data/k/1", NONE, 404, "Not Found"],
      ["GET /data/%FF", NONE, 400, "Bad Request"],
    ],
  },
  {
    row: "PUT or DELETE /data[/path]",
    steps: [
      ["PUT /data", "1", 403, "Forbidden"],
      ["DELETE /data", NONE, 403, "Forbidden"],
      ["PUT /data/a", "1", 403, "Forbidden"],
      ["DELETE /data/a", NONE, 403, "Forbidden"],
      ["PUT /data/x", "1", 404, "Not Found"],
      ["DELETE /data/x", NONE, 404, "Not Found"],
      ["GET /data", NONE, 200, DOCUMENT],
    ],
  },
  { row: "GET /lock", steps: [["GET /lock", NONE, 404, "Not Locked"], LOCK, ["GET /lock", NONE, 200, "me"]] },
  {
    row: "PUT /lock[/ignored] body=CODE",
    steps: [
      ["PUT /lock/ignored", "me", 200, "Acquired"],
      ["PUT /lock", "me", 200, "Acquired"],
      ["PUT /lock", "other", 403, "Locked"],
      ["PUT /lock/me", "other", 403, "Locked"],
      ["GET /lock", NONE, 200, "me"],
      ["PUT /lock", "x".repeat(257), 400, "Bad Request"],
      ["PUT /lock", "x".repeat(2_000), 413, "Content Too Large"],
      ["PUT /lock", "a\nb", 400, "Bad Request"],
    ],
  },
  {
    row: "PUT /lock by who has it keeps the transaction",
    steps: [LOCK, ["PUT /update/me/n", 1, 201], LOCK, ["GET /update/me/n", NONE, 200, 1]],
  },
  {
    row: "PUT /lock/CODE with an empty body",
    steps: [
      ["PUT /lock/me", NONE, 404, "Not Locked"],
      LOCK,
      ["PUT /lock", NONE, 404, "Not Found"],
      ["PUT /lock/you", NONE, 404, "Invalid Lock Code"],
      ["PUT /update/me/n", 1, 201, "Created"],
      ["GET /data/n", NONE, 404, "Not Found"],
      ["PUT /lock/me", NONE, 200, "Released"],
      ["GET /data/n", NONE, 200, 1],
      ["PUT /lock/me", NONE, 404, "Not Locked"],
    ],
  },
  {
    row: "PUT /lock/CODE when the document was changed otherwise",
    steps: [
      LOCK,
      ["PUT /update/me/n", 1, 201],
      [
        "PUT /copy",
        { version: { sequence: 99, checksum: "c4ca4238a0b923820dcc509a6f75849b" }, data: 1 },
        201,
        "Created",
      ],
      ["PUT /lock/me", NONE, 409, "Concurrent Update"],
      ["GET /data", NONE, 200, 1],
      ["GET /update/me/n", NONE, 200, 1],
      ["DELETE /lock/me", NONE, 200, "Released"],
    ],
  },
  {
    row: "DELETE /lock/CODE",
    steps: [
      ["DELETE /lock/me", NONE, 404, "Not Locked"],
      LOCK,
      ["DELETE /lock", NONE, 404, "Not Found"],
      ["DELETE /lock/you", NONE, 404, "Invalid Lock Code"],
      ["PUT /update/me/n", 1, 201],
      ["DELETE /lock/me", NONE, 200, "Released"],
      ["GET /data/n", NONE, 404, "Not Found"],
      ["GET /lock", NONE, 404, "Not Locked"],
    ],
  },
  {
    row: "GET /update/CODE[/path]",
    steps: [
      ["GET /update", NONE, 404, "Not Found"],
      ["GET /update/me", NONE, 403, "Not Locked"],
      LOCK,
      ["GET /update/you", NONE, 403, "Invalid Lock Code"],
      ["GET /update/me", NONE, 200, DOCUMENT],
      ["GET /update/me/a/b/0", NONE, 200, 10],
      ["GET /update/me/x", NONE, 404, "Not Found"],
    ],
  },
  {
    row: "PUT /update/CODE[/path] body=JSON",
    steps: [
      ["PUT /update", "1", 404, "Not Found"],
      ["PUT /update/me", "1", 403, "Not Locked"],
      LOCK,
      ["PUT /update/you/x", "1", 403, "Invalid Lock Code"],
      ["PUT /update/me/x", "{", 400, "Bad Request"],
      ["PUT /update/me/x", "", 400, "Bad Request"],
      ["PUT /update/me/x/y", "1", 404, "Not Found"],
      ["PUT /update/me/a/b/0/x", "1", 404, "Not Found"],
      ["PUT /update/me/x", "null", 201, "Created"],
      ["GET /update/me/x", NONE, 200, null],
      ["PUT /update/me/a/empty/x", '"first"', 201, "Created"],
      ["GET /update/me/a/empty", NONE, 200, { x: "first" }],
      ["PUT /update/me/a/b/1", "21", 201, "Created"],
      ["PUT /update/me/a/b/3", "40", 201, "Created"],
      ["PUT /update/me/a/b/9", "0", 404, "Not Found"],
      ["PUT /update/me/a/b/x", "0", 404, "Not Found"],
      ["GET /update/me/a/b", NONE, 200, [10, 21, { c: "deep" }, 40]],
      ["PUT /update/me/a%2Fb", "1.5", 201, "Created"],
      ["PUT /update/me/%FF", "1", 400, "Bad Request"],
      ["PUT /update/me", '{"whole": 1}', 201, "Created"],
      ["GET /update/me", NONE, 200, { whole: 1 }],
      ["PUT /lock/me", NONE, 200, "Released"],
      ["GET /data", NONE, 200, { whole: 1 }],
    ],
  },
  {
    row: "DELETE /update/CODE[/path]",
    steps: [
      ["DELETE /update/me/a", NONE, 403, "Not Locked"],
      LOCK,
      ["DELETE /update/you/a", NONE, 403, "Invalid Lock Code"],
      ["DELETE /update/me/x", NONE, 404, "Not Found"],
      ["DELETE /update/me/a/b/7", NONE, 404, "Not Found"],
      ["DELETE /update/me/a/b/0", NONE, 204, ""],
      ["GET /update/me/a/b", NONE, 200, [20, { c: "deep" }]],
      ["DELETE /update/me/a/null", NONE, 204, ""],
      ["DELETE /update/me", NONE, 204, ""],
      ["GET /update/me", NONE, 200, {}],
    ],
  },
  {
    row: "GET /copy",
    steps: [["GET /copy", NONE, 200]],
  },
  {
    row: "PUT /copy, taken or not",
    steps: [
      [
        "PUT /copy",
        { version: { sequence: 0, checksum: "c4ca4238a0b923820dcc509a6f75849b" }, data: 1 },
        201,
        "Created",
      ],
      ["GET /data", NONE, 200, DOCUMENT],
      [
        "PUT /copy",
        { version: { sequence: 9, checksum: "c4ca4238a0b923820dcc509a6f75849b" }, data: 1 },
        201,
        "Created",
      ],
      ["GET /version", NONE, 200, { checksum: "c4ca4238a0b923820dcc509a6f75849b", sequence: 9 }],
      ["PUT /copy", { version: { sequence: 10, checksum: "0".repeat(32) }, data: 1 }, 400, "Bad Request"],
      ["PUT /copy", "{", 400, "Bad Request"],
      ["PUT /copy", { version: { sequence: -1, checksum: "x" }, data: 1 }, 400, "Bad Request"],
      ["PUT /copy", "null", 400, "Bad Request"],
    ],
  },
  {
    row: "PUT /state body=[{address}]",
    steps: [
      ["PUT /state", [{ address: "10.0.0.1:8001" }], 201, "Created"],
      ["PUT /state", [{ address: "no address!" }], 400, "Bad Request"],
      ["PUT /state", { address: "10.0.0.1:8001" }, 400, "Bad Request"],
      ["PUT /state", "[", 400, "Bad Request"],
      ["PUT /state", [null], 400, "Bad Request"],
    ],
  },
  {
    row: "a trailing slash says nothing",
    steps: [
      ["PUT /lock/", "me", 200],
      ["GET /lock/", NONE, 200, "me"],
      ["PUT /update/me/n/", "1", 201],
      [
        "PUT /lock/me/",
        undefined,
        200,
        "Released",
      ],
      ["GET /data/n/", NONE, 200, 1],
      ["GET /copy/", NONE, 200],
      ["GET /state/", NONE, 200],
      ["GET /version/", NONE, 200],
    ],
  },
];

Deno.test.each(ROWS)("store answers: $row", async ({ steps }) => {
  await using store = await TestStore.start({}, DOCUMENT);
  for (const [line, body, status, wanted] of steps) {
    const answer = await store.ask(line, body);
    const said = `${line} answered ${answer.status} ${answer.text}`;
    assert.equal(answer.status, status, said);
    const type = answer.headers.get("content-type");
    if (status >= 400) {
      const { error, message, status: told } = JSON.parse(answer.text);
      assert.deepEqual([error, told, type], [wanted, status, "application/json"], said);
      assert.ok(message.length > 10, said);
    } else if (type === "application/json" && wanted !== undefined) {
      assert.deepEqual(JSON.parse(answer.text), wanted, said);
    } else if (wanted !== undefined) {
      assert.equal(answer.text, wanted);
    }
  }
});

Deno.test("a store without a recent snapshot answers 503 until it may serve", async () => {
  const clock = new FakeClock();
  await using store = await TestStore.start({ clock, loadLimit: { fromNowMs: -1_000 } });
  for (const line of ["GET /data", "PUT /data", "DELETE /data/x", "PUT /lock", "PUT /lease/x"]) {
    const { status, text } = await store.ask(line, line.startsWith("PUT") ? "x" : undefined);
    assert.deepEqual([status, JSON.parse(text).error], [503, "Service Unavailable"], line);
  }
  for (const line of ["GET /state", "GET /copy", "GET /version", "GET /"]) {
    assert.equal((await store.ask(line)).status, 200, line);
  }
  clock.advance(120_000);
  assert.equal((await store.ask("GET /data")).status, 200);
});

Deno.test("a waiting store serves once a peer has pushed a newer version", async () => {
  await using store = await TestStore.start({ loadLimit: { fromNowMs: -1_000 } });
  assert.equal((await store.ask("GET /data")).status, 503);
  await store.ask("PUT /copy", { version: { sequence: 3, checksum: "c4ca4238a0b923820dcc509a6f75849b" }, data: 1 });
  assert.deepEqual((await store.ask("GET /data")).text, "1");
});

Deno.test("the lock and its transaction expire 30 seconds after the last refresh", async () => {
  const clock = new FakeClock();
  await using store = await TestStore.start({ clock });
  await store.ask("PUT /lock", "me");
  clock.advance(29_999);
  assert.equal((await store.ask("PUT /lock", "me")).status, 200);
  assert.equal((await store.ask("PUT /update/me/n", 1)).status, 201);
  clock.advance(29_999);
  assert.equal((await store.ask("GET /update/me/n")).status, 200, "an update does not refresh it, but it is held");
  clock.advance(1);
  assert.equal((await store.ask("GET /lock")).status, 404);
  assert.equal((await store.ask("PUT /lock/me")).status, 404);
  assert.equal((await store.ask("PUT /lock", "other")).text, "Acquired");
  assert.equal((await store.ask("GET /update/other/n")).status, 404);
});

Deno.test("GET /state and GET / show the version, this instance and its peers", async () => {
  await using store = await TestStore.start({ seeds: ["10.0.0.9:8001"] }, {});
  for (const line of ["GET /state", "GET /"]) {
    const state = JSON.parse((await store.ask(line)).text);
    assert.deepEqual(Object.keys(state), ["Me", "cluster", "id", "lost", "version"]);
    assert.equal(state.Me, `127.0.0.1:${store.server.address.port}`);
    assert.deepEqual(Object.keys(state.cluster[0]), ["address", "last-push", "last-reachable", "reachable", "version"]);
    assert.equal(state.cluster[0].address, "10.0.0.9:8001");
  }
});

Deno.test("JSON has sorted keys, an indent of 2, and the version as ETag", async () => {
  await using store = await TestStore.start({}, JSON.parse('{"b": [1, {"10": 1, "9": []}], "a": {}, "__proto__": 0}'));
  const { text, headers } = await store.ask("GET /data");
  assert.equal(
    text,
    '{\n  "__proto__": 0,\n  "a": {},\n  "b": [\n    1,\n    {\n      "10": 1,\n      "9": []\n    }\n  ]\n}',
  );
  const { sequence, checksum } = JSON.parse((await store.ask("GET /version")).text);
  assert.equal(headers.get("etag"), `"${sequence}-${checksum}"`);
  const again = await store.ask("GET /data", undefined, { "if-none-match": String(headers.get("etag")) });
  assert.deepEqual([again.status, again.text], [304, ""]);
  assert.deepEqual(JSON.parse((await store.ask("GET /copy")).text).version, { sequence, checksum });
});

Deno.test("a commit that changes nothing keeps the sequence", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  const before = (await store.ask("GET /version")).text;
  await store.commit([]);
  await store.commit([["PUT", "/n", 1]]);
  await store.commit([["PUT", "/x", 1], ["DELETE", "/x"]]);
  assert.equal((await store.ask("GET /version")).text, before);
  await store.commit([["PUT", "/n", 2]]);
  assert.notEqual((await store.ask("GET /version")).text, before);
});

Deno.test("a value that is too large or too deep is rejected", async () => {
  const limits = { bodyBytesMax: 100, documentBytesMax: 150, depthMax: 5, watchersMax: 1, watchersOfTokenMax: 1 };
  await using store = await TestStore.start({ limits });
  await store.ask("PUT /lock", "me");
  const put = async (path: string, value: unknown) =>
    (await store.ask(`PUT /update/me${path}`, JSON.stringify(value))).status;
  assert.equal(await put("/a", "x".repeat(98)), 201);
  assert.equal(await put("/a", "x".repeat(99)), 413);
  assert.equal(await put("/deep", [[[[]]]]), 201);
  assert.equal(await put("/deep", [[[[[]]]]]), 400);
  assert.equal((await store.ask("PUT /update/me/deeper", "[".repeat(50) + "]".repeat(50))).status, 400);
  assert.equal(await put("/deep/0", [[[1]]]), 201);
  assert.equal(await put("/b", "x".repeat(90)), 201);
  assert.equal((await store.ask("PUT /lock/me")).status, 413, "the whole is too large");
  assert.equal((await store.ask("DELETE /update/me/b")).status, 204);
  assert.equal((await store.ask("PUT /lock/me")).status, 200);
});

Deno.test("a body without a length is measured while it arrives", async () => {
  await using store = await TestStore.start({
    limits: { bodyBytesMax: 100, documentBytesMax: 1_000, depthMax: 5, watchersMax: 1, watchersOfTokenMax: 1 },
  });
  await store.ask("PUT /lock", "me");
  const chunks = Array.from({ length: 50 }, () => "1".repeat(10));
  const body = ReadableStream.from(chunks).pipeThrough(new TextEncoderStream());
  const response = await fetch(`${store.url}/update/me/n`, { method: "PUT", body });
  assert.equal(response.status, 413);
  await response.body?.cancel();
});

Deno.test.each([
  { json: "12345678901234567890", why: "digits would be lost" },
  { json: "1e400", why: "it is larger than any double" },
  { json: '"\\ud800"', stored: true, why: "half a character survives as its escape" },
  { json: "9007199254740991", stored: true, why: "it is an integer that a double holds" },
  { json: '{"a": "12345678901234567890"}', stored: true, why: "digits in a string are text" },
])("a store accepts or rejects the value $json: $why", async ({ json, stored = false }) => {
  await using store = await TestStore.start();
  await store.ask("PUT /lock", "me");
  const { status } = await store.ask("PUT /update/me/n", json);
  assert.equal(status, stored ? 201 : 400);
  if (stored) assert.deepEqual(JSON.parse((await store.ask("GET /update/me/n")).text), JSON.parse(json));
});

Deno.test("numbers are checked, digits within strings are not", async () => {
  await using store = await TestStore.start();
  await store.ask("PUT /lock", "me");
  const texts = String.raw`["12345678901234567890", "a\\", "\"1e999", "\\\\", "]1e999[", {"1e999\"": "1e999"}`;
  assert.equal((await store.ask("PUT /update/me/n", `${texts}, 1e-300, -1.5E+300]`)).status, 201);
  assert.equal((await store.ask("PUT /update/me/n", `${texts}, -1e999]`)).status, 400);
  assert.equal((await store.ask("PUT /update/me/n", `${texts}, {"a":9007199254740993}]`)).status, 400);
});

Deno.test("a commit after a copy of the largest sequence survives a restart", async () => {
  await using store = await TestStore.start();
  const copy = (sequence: number) => ({ data: 1, version: { sequence, checksum: "c4ca4238a0b923820dcc509a6f75849b" } });
  assert.equal((await store.ask("PUT /copy", JSON.stringify(copy(Number.MAX_SAFE_INTEGER)))).status, 400);
  assert.equal((await store.ask("PUT /copy", JSON.stringify(copy(99_999_999_999_999)))).status, 201);
  await store.ask("PUT /lock", "me");
  await store.ask("PUT /update/me", "2");
  assert.equal((await store.ask("PUT /lock/me")).status, 200);
  await store.restart();
  assert.equal((await store.ask("GET /data")).text, "2");
});

Deno.test("keys such as __proto__ are plain data", async () => {
  await using store = await TestStore.start({}, {});
  const hostile = '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 2}}, "toString": null}';
  await store.ask("PUT /lock", "me");
  assert.equal((await store.ask("PUT /update/me/x", hostile)).status, 201);
  assert.equal((await store.ask("PUT /update/me/__proto__", '{"polluted": 3}')).status, 201);
  assert.equal((await store.ask("PUT /update/me/x/__proto__/polluted", "4")).status, 201);
  assert.equal((await store.ask("PUT /update/me/x/hasOwnProperty/y", "4")).status, 404);
  assert.equal((await store.ask("PUT /lock/me")).status, 200);
  assert.equal(({} as { readonly polluted?: unknown }).polluted, undefined);
  await store.restart();
  assert.equal((await store.ask("GET /data/__proto__/polluted")).text, "3");
  assert.equal((await store.ask("GET /data/x/__proto__/polluted")).text, "4");
  assert.equal((await store.ask("GET /data/x/toString")).text, "null");
});

Deno.test("HEAD answers like GET without the body", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  const { status, text, headers } = await store.ask("HEAD /data/n");
  assert.deepEqual([status, text, headers.get("content-type")], [200, "", "application/json"]);
});

Deno.test("a client that has the version gets 304, also with a weak tag of a proxy", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  const etag = (await store.ask("GET /data/n")).headers.get("etag") ?? "";
  const statusOf = async (tag: string, path = "/data/n") =>
    (await store.ask(`GET ${path}`, undefined, { "if-none-match": tag })).status;
  for (const tag of [etag, `W/${etag}`, `"other", W/${etag}`, `${etag},"other"`, "*", " * "]) {
    assert.equal(await statusOf(tag), 304, tag);
  }
  for (const tag of ['"other"', 'W/"other"', "w/" + etag, etag.slice(1, -1), "", '"*"']) {
    assert.equal(await statusOf(tag), 200, tag);
  }
  assert.equal(await statusOf("*", "/data/none"), 404, "there is none to be had");
  for (const watch of [`W/${etag}`, etag]) {
    const answer = await store.ask(`GET /data/n?watch=${encodeURIComponent(watch)}&timeout=0.01`);
    assert.equal(answer.status, 304, watch);
  }
});

Deno.test.each(["1e-400", "123456789012345.678901"])(
  "a number that would lose precision is rejected: %s",
  async (number) => {
    await using store = await TestStore.start();
    await store.ask("PUT /lock", "me");
    assert.equal((await store.ask("PUT /update/me/n", number)).status, 400);
    assert.equal((await store.ask("PUT /lease/l", `{"ttl": 9, "keys": {"/n": ${number}}}`)).status, 400);
  },
);
