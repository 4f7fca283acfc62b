import assert from "node:assert/strict";
import { ByteSource } from "./byte_source.ts";
import { HeadReader, HttpFault } from "./request_head.ts";

/** A source whose bytes arrive in pieces. */
function sourceOf(pieces: readonly Uint8Array[]): ByteSource {
  let [at, taken] = [0, 0];
  return new ByteSource({
    read(buffer) {
      const piece = pieces[at]?.subarray(taken, taken + buffer.length);
      if (piece === undefined) return Promise.resolve(null);
      buffer.set(piece);
      taken += piece.length;
      if (taken === pieces[at]?.length) [at, taken] = [at + 1, 0];
      return Promise.resolve(piece.length);
    },
  });
}

/** Splits a string into pieces of this many bytes. */
function cut(text: string, bytes: number): Uint8Array[] {
  const all = Uint8Array.from(text, (each) => each.charCodeAt(0));
  return Array.from({ length: Math.ceil(all.length / bytes) }, (_, i) => all.slice(i * bytes, (i + 1) * bytes));
}

const OPTIONS = { scheme: "http", ownHost: "own" } as const;

Deno.test("HeadReader reads the same heads however their bytes are split", async () => {
  const heads = ["/a", `/${"b".repeat(3_000)}`, "/c", `/${"d".repeat(60_000)}`, "/e"];
  const text = heads.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n`).join("\r\n");
  for (const bytes of [1, 2, 3, 7, 64, 2_047, 2_048, 2_049, 100_000]) {
    const source = sourceOf(cut(text, bytes));
    const reader = new HeadReader(source, OPTIONS);
    const taken: string[] = [];
    do {
      for (let head = reader.next(); head !== undefined; head = reader.next()) {
        assert.deepEqual(head.headers.get("x"), ["\xe9"]);
        taken.push(head.url.slice("http://a".length));
      }
    } while (await source.fill());
    assert.deepEqual(taken, heads, `${bytes} bytes at a time`);
    assert.equal(source.length, 0);
  }
});

Deno.test("HeadReader buffers at most the maximum size of a head", async () => {
  const source = sourceOf(cut(`GET / HTTP/1.1\r\nX: ${"x".repeat(200_000)}`, 1_000));
  const reader = new HeadReader(source, OPTIONS);
  await assert.rejects(async () => {
    while (reader.next() === undefined && await source.fill());
  }, HttpFault);
  assert.equal(source.length, 64 * 1_024);
});

Deno.test("ByteSource returns bytes that do not change later", async () => {
  const source = sourceOf(cut("abcdefghijkl", 4));
  await source.fill();
  assert.equal(source.takeText(1), "a");
  const [first, second, third] = [await source.take(2), await source.take(10), await source.take(10)];
  await source.fill();
  assert.equal(source.takeText(4), "ijkl");
  const decoder = new TextDecoder();
  assert.deepEqual([first, second, third].map((each) => decoder.decode(each)), ["bc", "d", "efgh"]);
  assert.equal(await source.take(1), undefined);
});
