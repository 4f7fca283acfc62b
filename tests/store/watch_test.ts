import assert from "node:assert/strict";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { eventually } from "../support/eventually.ts";
import { TestStore } from "./stage.ts";

const versionOf = (headers: Headers) => (headers.get("etag") ?? "").replaceAll('"', "");

Deno.test("a watch answers when the value at its path changes, and not for a change elsewhere", async () => {
  await using store = await TestStore.start({}, { a: { n: 1 }, b: 1 });
  const version = versionOf((await store.ask("GET /data/a")).headers);
  let isDone = false;
  const watched = store.ask(`GET /data/a?watch=${version}`).then((answer) => {
    isDone = true;
    return answer;
  });
  await store.commit([["PUT", "/b", 2]]);
  await store.commit([["PUT", "/a", { n: 1 }], ["PUT", "/b", 3]]);
  await store.ask("GET /data/a");
  assert.equal(isDone, false);
  await store.commit([["PUT", "/a/n", 2]]);
  const { status, text, headers } = await watched;
  assert.deepEqual([status, JSON.parse(text)], [200, { n: 2 }]);
  assert.equal(versionOf(headers), versionOf((await store.ask("GET /version")).headers));
});

Deno.test("a watch answers at once if the value changed since, or the version is unknown", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  const version = versionOf((await store.ask("GET /data")).headers);
  await store.commit([["PUT", "/n", 2]]);
  assert.equal((await store.ask(`GET /data/n?watch=${version}`)).text, "2");
  assert.equal((await store.ask("GET /data/n?watch=1")).text, "2", "its number is enough");
  assert.equal((await store.ask("GET /data/n?watch=77")).text, "2");
  assert.equal((await store.ask(`GET /data/n?watch=2-${"0".repeat(32)}`)).text, "2", "another version of that number");
});

Deno.test("a watch of a missing value answers 404 at once, 200 when it appears and 404 when it is removed", async () => {
  await using store = await TestStore.start({}, {});
  const comes = store.ask("GET /data/n?watch=0");
  await store.commit([["PUT", "/n", null]]);
  const { status, text, headers } = await comes;
  assert.deepEqual([status, text], [200, "null"]);
  const goes = store.ask(`GET /data/n?watch=${versionOf(headers)}`);
  await store.commit([["DELETE", "/n"]]);
  const gone = await goes;
  assert.equal(gone.status, 404);
  assert.equal(versionOf(gone.headers), versionOf((await store.ask("GET /version")).headers));
});

Deno.test.each([
  { timeout: "5", ms: 5_000 },
  { timeout: "0.5", ms: 500 },
  { timeout: "500ms", ms: 500 },
  { timeout: "5m", ms: 300_000 },
])("a watch with timeout=$timeout answers 304 after it, with the version to continue from", async ({ timeout, ms }) => {
  const clock = new FakeClock();
  await using store = await TestStore.start({ clock }, { n: 1 });
  const before = clock.pending;
  const watched = store.ask(`GET /data/n?watch=1&timeout=${timeout}`);
  await eventually("it waits", () => clock.pending > before);
  clock.advance(ms);
  const { status, headers } = await watched;
  assert.equal(status, 304);
  assert.equal(versionOf(headers), versionOf((await store.ask("GET /version")).headers));
});

Deno.test.each([
  { query: "watch=x" },
  { query: "watch=1&timeout=0" },
  { query: "watch=1&timeout=301" },
  { query: "watch=1&timeout=x" },
])("a watch with ?$query is rejected", async ({ query }) => {
  await using store = await TestStore.start({}, { n: 1 });
  assert.equal((await store.ask(`GET /data/n?${query}`)).status, 400);
});

/** Reads server-sent events from a stream. */
class Events implements AsyncDisposable {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(response: Response) {
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    this.#reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  }

  async next(): Promise<{ readonly id: string; readonly event: string; readonly data: string }> {
    while (!this.#text.includes("\n\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("the stream has ended");
      this.#text += value;
    }
    const [block = ""] = this.#text.split("\n\n", 1);
    this.#text = this.#text.slice(block.length + 2);
    const [, id = "", event = "", data = ""] = /^id: (.*)\nevent: (.*)\ndata: ?(.*)$/.exec(block) ?? [];
    return { id, event, data };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}

Deno.test("a stream of events starts with the value and continues with each change", async () => {
  await using store = await TestStore.start({}, { a: 1, b: 1 });
  const open = (headers: Record<string, string> = {}) =>
    fetch(`${store.url}/data/a`, { headers: { accept: "text/event-stream", ...headers } });
  let last: string;
  {
    await using events = new Events(await open());
    assert.deepEqual(await events.next(), {
      id: versionOf((await store.ask("GET /version")).headers),
      event: "value",
      data: "1",
    });
    await store.commit([["PUT", "/b", 2]]);
    await store.commit([["PUT", "/a", { x: "line\nfeed" }]]);
    const { id, data } = await events.next();
    assert.deepEqual(JSON.parse(data), { x: "line\nfeed" });
    await store.commit([["DELETE", "/a"]]);
    assert.equal((await events.next()).event, "absent");
    last = id;
  }
  await using again = new Events(await open({ "last-event-id": last }));
  assert.equal((await again.next()).event, "absent", "changes since the last event are sent");
});

Deno.test("a resumed stream starts with the next change", async () => {
  await using store = await TestStore.start({}, { a: 1 });
  const { headers } = await store.ask("GET /data/a");
  const response = await fetch(`${store.url}/data/a`, {
    headers: { accept: "text/event-stream", "last-event-id": versionOf(headers) },
  });
  await using events = new Events(response);
  await store.commit([["PUT", "/a", 2]]);
  assert.equal((await events.next()).data, "2");
});

Deno.test("watchers beyond the limit are rejected, and one that leaves makes room", async () => {
  await using store = await TestStore.start({
    limits: { bodyBytesMax: 1e6, documentBytesMax: 1e6, depthMax: 50, watchersMax: 2, watchersOfTokenMax: 2 },
  }, { n: 1 });
  const leave = new AbortController();
  const open = (signal?: AbortSignal) =>
    fetch(`${store.url}/data/n`, { headers: { accept: "text/event-stream" }, ...(signal && { signal }) });
  const first = await open(leave.signal);
  const second = await open();
  const third = await open();
  assert.equal(third.status, 503);
  await third.body?.cancel();
  leave.abort();
  await first.body?.cancel().catch(() => {});
  await eventually("there is room", async () => {
    const response = await open();
    await response.body?.cancel();
    return response.status === 200;
  });
  await second.body?.cancel();
});

Deno.test("a store answers waiting requests at shutdown", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  const waiting = store.ask("GET /data/n?watch=1&timeout=300");
  await using events = new Events(await fetch(`${store.url}/data/n`, { headers: { accept: "text/event-stream" } }));
  await events.next();
  await store.restart();
  assert.equal((await waiting).status, 304);
  await assert.rejects(events.next(), /ended/);
});

Deno.test("a long poll reports whether the answer descends from the watched version", async () => {
  await using store = await TestStore.start({}, { n: 0 });
  const since = (await store.ask("GET /data")).headers.get("etag") ?? "";
  const follows = async (version: string, path = "/data") => {
    const { status, headers } = await store.ask(`GET ${path}?watch=${encodeURIComponent(version)}&timeout=0.05`);
    return [status, headers.get("lighthouse-follows")];
  };
  assert.deepEqual(await follows(since), [304, "true"]);
  for (let n = 1; n < 80; n++) await store.commit([["PUT", "/n", n]]);
  assert.deepEqual(await follows(since), [200, "true"], "beyond the versions that are remembered");
  assert.deepEqual(await follows(since, "/data/nothing"), [404, "true"]);
  assert.deepEqual(await follows(`1-${"0".repeat(32)}`), [200, "false"], "another past");
  assert.deepEqual(await follows(`99-${"0".repeat(32)}`), [200, "false"], "another future");
  assert.deepEqual(await follows("1"), [200, null], "a number names no version");
});
