import assert from "node:assert/strict";
import fc from "fast-check";
import { errorName, FrameCutter, WireFormatError, WireReader, WireWriter } from "./wire.ts";

Deno.test("WireReader reads what WireWriter writes", () => {
  const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  fc.assert(
    fc.property(fc.integer(), long, fc.boolean(), fc.uint8Array({ maxLength: 600 }), fc.string(), (...values) => {
      const [int, big, flag, bytes, text] = values;
      const frame = new WireWriter().int(int).long(big).flag(flag).bytes(bytes).text(text).frame();
      assert.equal(new DataView(frame.buffer).getInt32(0), frame.length - 4);
      const from = new WireReader(frame.subarray(4));
      assert.deepEqual([from.int(), from.long(), from.flag(), from.bytes(), from.text()], values);
      assert.throws(() => from.flag(), WireFormatError);
    }),
  );
});

Deno.test("WireReader refuses whatever is too short, and never reads beyond", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    for (const read of ["int", "long", "flag", "bytes", "text", "texts", "stat", "watchEvent"] as const) {
      try {
        new WireReader(bytes)[read]();
      } catch (error) {
        assert.ok(error instanceof WireFormatError, String(error));
      }
    }
  }));
});

Deno.test("WireReader takes no bytes at all for none, and refuses a length below that", () => {
  assert.deepEqual(new WireReader(Uint8Array.of(255, 255, 255, 255)).bytes(), new Uint8Array());
  assert.throws(() => new WireReader(Uint8Array.of(255, 255, 255, 254)).bytes(), WireFormatError);
});

Deno.test("FrameCutter finds the frames, in whatever pieces they come", () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 10 });
  fc.assert(fc.property(frames, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (frames, sizes) => {
    const stream = frames.flatMap((frame) => [...new WireWriter().bytes(frame).frame().subarray(4)]);
    const cutter = new FrameCutter();
    const found: Uint8Array[] = [];
    for (let at = 0, turn = 0; at < stream.length; turn++) {
      const size = sizes[turn % sizes.length] ?? 1;
      found.push(...cutter.push(Uint8Array.from(stream.slice(at, at + size))));
      at += size;
    }
    assert.deepEqual(found, frames);
  }));
});

Deno.test.each([
  { what: "a negative length", length: -1 },
  { what: "a length beyond reason", length: 2 ** 31 - 1 },
])("FrameCutter refuses $what", ({ length }) => {
  assert.throws(() => new FrameCutter().push(new WireWriter().int(length).frame().subarray(4)), WireFormatError);
});

Deno.test("errorName() has a word for the usual, and the number for the rest", () => {
  assert.equal(errorName(-101), "no node");
  assert.equal(errorName(-4242), "error -4242");
});
