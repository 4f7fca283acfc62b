import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameReader, JuteError, JuteReader, JuteWriter } from "./jute.ts";

/** A value of one of Jute's types, as it is written and read. */
const FIELD = fc.oneof(
  fc.record({ type: fc.constant("int" as const), value: fc.integer() }),
  fc.record({ type: fc.constant("long" as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ type: fc.constant("bool" as const), value: fc.boolean() }),
  fc.record({ type: fc.constant("buffer" as const), value: fc.uint8Array({ maxLength: 2_000 }) }),
  fc.record({ type: fc.constant("string" as const), value: fc.string({ unit: "binary", maxLength: 500 }) }),
  fc.record({ type: fc.constant("vector" as const), value: fc.array(fc.string({ unit: "binary" })) }),
);
type Field = ReturnType<typeof FIELD.generate>["value"];

function write(to: JuteWriter, { type, value }: Field): void {
  if (type === "int") to.int(value);
  else if (type === "long") to.long(value);
  else if (type === "bool") to.bool(value);
  else if (type === "buffer") to.buffer(value);
  else if (type === "string") to.string(value);
  else to.vector(value, (each) => to.string(each));
}

function read(from: JuteReader, type: Field["type"]): unknown {
  return type === "vector" ? from.vector(4, () => from.string()) : from[type]();
}

/** A stream that arrives in pieces of the given sizes, again and again. */
function inPieces(bytes: Uint8Array, sizes: readonly number[]): (buffer: Uint8Array) => Promise<number | null> {
  let [at, turn] = [0, 0];
  return (buffer) => {
    const size = Math.min(sizes[turn++ % sizes.length] ?? 1, buffer.length, bytes.length - at);
    if (size === 0) return Promise.resolve(null);
    buffer.set(bytes.subarray(at, at + size));
    at += size;
    return Promise.resolve(size);
  };
}

function join(frames: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(frames.flatMap((frame) => [...frame]));
}

Deno.test("JuteReader reads what JuteWriter writes, and frames arrive whole however the stream is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(FIELD, { maxLength: 8 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1 }),
      async (records, sizes) => {
        const frames = records.map((fields) => {
          const to = new JuteWriter();
          for (const field of fields) write(to, field);
          return to.frame().slice();
        });
        const reader = new FrameReader(inPieces(join(frames), sizes));
        for (const fields of records) {
          const content = await reader.next(1_000_000);
          assert.ok(content);
          const from = new JuteReader(content);
          for (const { type, value } of fields) assert.deepEqual(read(from, type), value);
          assert.equal(from.left, 0);
        }
        assert.equal(await reader.next(1_000_000), undefined);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("JuteReader raises a JuteError, and nothing else, for bytes that are not a record", () => {
  const types = fc.array(fc.constantFrom<Field["type"]>("int", "long", "bool", "buffer", "string", "vector"));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), types, (bytes, wanted) => {
      const from = new JuteReader(bytes);
      try {
        for (const type of wanted) read(from, type);
      } catch (error) {
        assert.ok(error instanceof JuteError, String(error));
      }
      assert.ok(from.left >= 0);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test.each([
  { what: "a list of two billion in a frame of four bytes", bytes: [0x7f, 0xff, 0xff, 0xff] },
  { what: "a list of less than nothing", bytes: [0xff, 0xff, 0xff, 0xfe] },
])("JuteReader allocates nothing for $what", ({ bytes }) => {
  assert.throws(() => new JuteReader(new Uint8Array(bytes)).vector(4, () => 0), JuteError);
});

Deno.test("JuteReader reads ZooKeeper's null as empty, and a malformed name as a name", () => {
  const none = new Uint8Array([0xff, 0xff, 0xff, 0xff]);
  assert.equal(new JuteReader(none).string(), "");
  assert.deepEqual(new JuteReader(none).buffer(), new Uint8Array(0));
  assert.deepEqual(new JuteReader(none).vector(1, () => 0), []);
  assert.equal(new JuteReader(new Uint8Array([0, 0, 0, 2, 0x61, 0xff])).string(), "a\ufffd");
});

Deno.test("FrameReader allocates memory for what arrives, not for what is announced", async () => {
  let largest = 0;
  const announced = new Uint8Array([0, 0x10, 0, 0, ...new Uint8Array(100)]); // 1 MiB, of which 100 bytes arrive.
  const pieces = inPieces(announced, [10]);
  const reader = new FrameReader((buffer) => {
    largest = Math.max(largest, buffer.length);
    return pieces(buffer);
  });
  assert.equal(await reader.next(2 ** 20), undefined, "the stream ends within the frame");
  assert.ok(largest <= 4_096, `${largest}`);
});

Deno.test.each([{ length: [0x7f, 0xff, 0xff, 0xff] }, { length: [0x80, 0, 0, 0] }, { length: [0, 0, 0, 11] }])(
  "FrameReader rejects a frame of the length $length",
  async ({ length }) => {
    await assert.rejects(new FrameReader(inPieces(new Uint8Array(length), [9])).next(10), JuteError);
  },
);
