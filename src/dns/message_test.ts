import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeAnswer, encodeQuestion, type RecordType } from "./message.ts";

const ID = 7;

function bytesOf(...parts: readonly (number | string | readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part)] : [part].flat()),
  );
}

/** The answer to a question, with these records behind it; a record begins with a pointer to the question's name. */
function answer(
  name: string,
  type: RecordType,
  { rcode = 0, answers = [], authorities = [] }: {
    rcode?: number;
    answers?: readonly (readonly number[])[];
    authorities?: readonly (readonly number[])[];
  } = {},
): Uint8Array {
  const question = encodeQuestion(ID, name, type).slice(12);
  const header = [0, ID, 0x81, 0x80 | rcode, 0, 1, 0, answers.length, 0, authorities.length, 0, 0];
  return bytesOf(header, [...question], answers.flat(), authorities.flat());
}

const record = (type: number, ttl: number, data: readonly number[], owner: readonly number[] = [0xc0, 12]) => [
  ...owner,
  ...[0, type, 0, 1, ttl >>> 24, ttl >> 16 & 255, ttl >> 8 & 255, ttl & 255, data.length >> 8, data.length & 255],
  ...data,
];

/** Position of the data of the n-th record of two bytes, behind the question for `a.test`; 0: the question's name. */
const at = (number: number) => number === 0 ? 12 : 24 + (number - 1) * 14 + 12;

const about = (name: string, type: RecordType) => ({ id: ID, name, type });

Deno.test("decodeAnswer() reads addresses and the least TTL", () => {
  const bytes = answer("web.test", "A", { answers: [record(1, 60, [192, 0, 2, 1]), record(1, 5, [192, 0, 2, 2])] });
  assert.deepEqual(decodeAnswer(bytes, about("WEB.test", "A")), {
    rcode: 0,
    addresses: ["192.0.2.1", "192.0.2.2"],
    services: [],
    ttlSeconds: 5,
  });
  const v6 = [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 1];
  assert.deepEqual(
    decodeAnswer(answer("web.test", "AAAA", { answers: [record(28, 9, v6)] }), about("web.test", "AAAA")).addresses,
    ["2001:db8::1"],
  );
});

Deno.test("decodeAnswer() follows an alias, and ignores unrelated records", () => {
  const alias = record(5, 3, [1, 0x62, 0xc0, 12]);
  // The target of the alias is b.<question's name>, which begins with the data of the first record.
  const target = 12 + encodeQuestion(ID, "a.test", "A").length - 12 + 12;
  const bytes = answer("a.test", "A", {
    answers: [alias, record(1, 60, [192, 0, 2, 1], [0xc0, target]), record(1, 60, [192, 0, 2, 9])],
  });
  const { addresses, ttlSeconds } = decodeAnswer(bytes, about("a.test", "A"));
  assert.deepEqual([addresses, ttlSeconds], [["192.0.2.1"], 3]);
});

Deno.test("decodeAnswer() distinguishes a missing name from one without records, with the negative TTL", () => {
  const soa = record(6, 300, [0, 0, ...Array<number>(19).fill(0), 30]);
  const gone = decodeAnswer(answer("x.test", "A", { rcode: 3, authorities: [soa] }), about("x.test", "A"));
  assert.deepEqual([gone.rcode, gone.ttlSeconds], [3, 30]);
  const none = decodeAnswer(answer("x.test", "A"), about("x.test", "A"));
  assert.deepEqual([none.rcode, none.addresses, none.ttlSeconds], [0, [], undefined]);
});

Deno.test("decodeAnswer() reads services, and rejects an answer without usable records", () => {
  const data = (target: readonly number[]) => [0, 1, 0, 5, 0x1f, 0x90, ...target];
  const good = decodeAnswer(
    answer("_a._tcp.test", "SRV", { answers: [record(33, 60, data([1, 0x68, 0xc0, 20]))] }),
    about("_a._tcp.test", "SRV"),
  );
  assert.deepEqual(good.services, [{ priority: 1, weight: 5, port: 8080, target: "h.test" }]);
  const bad = answer("_a._tcp.test", "SRV", { answers: [record(33, 60, data([1, 0x0a, 0]))] });
  assert.throws(() => decodeAnswer(bad, about("_a._tcp.test", "SRV")), /no valid record/);
});

Deno.test.each([
  { why: "another question's", bytes: answer("b.test", "A"), then: /another query/ },
  { why: "no answer", bytes: encodeQuestion(ID, "a.test", "A"), then: /is not a response to the query/ },
  {
    why: "cut",
    bytes: answer("a.test", "A", { answers: [record(1, 1, [1, 2, 3, 4])] }).slice(0, -1),
    then: /ends prematurely/,
  },
  {
    why: "a name that points at itself",
    bytes: answer("a.test", "A", { answers: [record(1, 1, [1, 2, 3, 4], [0xc0, 24])] }),
    then: /points forward/,
  },
  {
    why: "a name of pointers only",
    bytes: answer("a.test", "A", {
      // Each record's data is a pointer to the previous record's data, the first one's to the question's name.
      answers: Array.from({ length: 200 }, (_, i) => record(99, 1, [0xc0 | at(i) >> 8, at(i) & 255], [0xc0, 12]))
        .concat([record(1, 1, [1, 2, 3, 4], [0xc0 | at(200) >> 8, at(200) & 255])]),
    }),
    then: /too many compression pointers/,
  },
])("decodeAnswer() rejects $why", ({ bytes, then }) => {
  assert.throws(() => decodeAnswer(bytes, about("a.test", "A")), then);
});

Deno.test("encodeQuestion() rejects invalid domain names", () => {
  for (const name of ["a..b", `${"x".repeat(64)}.test`, "x.".repeat(130), "."]) {
    assert.throws(() => encodeQuestion(ID, name, "A"), RangeError);
  }
});

Deno.test("decodeAnswer() returns an answer or throws a syntax error, for any bytes", () => {
  const good = answer("a.test", "SRV", { answers: [record(33, 60, [0, 1, 0, 5, 0, 80, 1, 0x68, 0xc0, 12])] });
  const change = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), fc.nat(good.length), (changes, length) => {
      const bytes = good.slice(0, length === 0 ? undefined : length);
      for (const { at, byte } of changes) if (at < bytes.length) bytes[at] = byte;
      try {
        decodeAnswer(bytes, about("a.test", "SRV"));
      } catch (error) {
        assert.ok(error instanceof SyntaxError, String(error));
      }
    }),
    { numRuns: 3_000 },
  );
});
