/**
 * What a name server over TCP may lie about: the length of its message, when
 * it ends, and whose answer it is.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeQuestion } from "./message.ts";
import { resolveHost, type ResolveOptions, UnresolvedError } from "./resolver.ts";

/** Short, for many silent servers. */
const SERVER_TIMEOUT_MS = 250;
const NXDOMAIN = 3;
const NAME = "web.test";
const ADDRESS = [192, 0, 2, 1];

/** What a server does with a query: the parts that it writes, and whether it closes then or falls silent. */
interface Behavior {
  readonly parts: (query: Uint8Array) => readonly Uint8Array[];
  readonly closes: boolean;
}

/** A name server of loopback that behaves so with each query. */
class LyingServer implements AsyncDisposable {
  queries = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #behavior: Behavior;
  readonly #serving: Promise<void>;

  constructor(behavior: Behavior) {
    this.#behavior = behavior;
    this.#serving = this.#accept();
  }

  get target(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }

  async #accept(): Promise<void> {
    const open: Promise<void>[] = [];
    for await (const connection of this.#listener) open.push(this.#serve(connection).catch(() => {}));
    await Promise.all(open);
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    using connection = client;
    const buffer = new Uint8Array(512);
    const length = await connection.read(buffer) ?? 0;
    this.queries++;
    for (const part of this.#behavior.parts(buffer.slice(2, length))) await connection.write(part);
    // The client leaves when its time is over.
    while (!this.#behavior.closes && await connection.read(buffer) !== null);
  }
}

/** The answer to a query: its own header and question, and one address if there is any. */
function answerTo(
  query: Uint8Array,
  { rcode = 0, hasAddress = rcode === 0 }: { readonly rcode?: number; readonly hasAddress?: boolean } = {},
): Uint8Array {
  const answer = Uint8Array.from([...query, ...hasAddress ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ...ADDRESS] : []]);
  answer.set([0x81, 0x80 | rcode], 2);
  answer.set([0, hasAddress ? 1 : 0], 6);
  return answer;
}

/** A message over TCP, with a length that may be a lie. */
function framed(message: Uint8Array, length = message.length): Uint8Array {
  return Uint8Array.from([length >> 8, length & 255, ...message]);
}

/** Cuts bytes at some places. */
function cutAt(bytes: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const ends = [...new Set(places.map((place) => place % bytes.length))].toSorted((a, b) => a - b);
  return [0, ...ends].map((from, at) => bytes.slice(from, ends[at])).filter(({ length }) => length > 0);
}

function options(nameServers: readonly string[], more: Partial<ResolveOptions> = {}): ResolveOptions {
  return {
    nameServers,
    searchDomains: [],
    ndots: 1,
    signal: AbortSignal.timeout(60_000),
    serverTimeoutMs: SERVER_TIMEOUT_MS,
    readHosts: () => Promise.resolve(undefined),
    ...more,
  };
}

/** Where what comes is no matter of time. */
const PATIENT = { serverTimeoutMs: 30_000, timeoutMs: 60_000 };
const HONEST: Behavior = { parts: (query) => [framed(answerTo(query))], closes: true };
const places = fc.array(fc.nat(1_000), { maxLength: 4 });

Deno.test("resolveHost() reads an answer in any segments, with any data after it", async () => {
  await fc.assert(
    fc.asyncProperty(places, fc.uint8Array({ maxLength: 40 }), fc.boolean(), async (cuts, behind, closes) => {
      await using server = new LyingServer({
        parts: (query) => cutAt(Uint8Array.from([...framed(answerTo(query)), ...behind]), cuts),
        closes,
      });
      const { records } = await resolveHost(NAME, "A", options([server.target], PATIENT));
      assert.deepEqual(records, ["192.0.2.1"]);
    }),
    { numRuns: 50 },
  );
});

Deno.test("resolveHost() rejects a message with a wrong length, and asks the next server", async () => {
  const lie = fc.oneof(fc.constantFrom(0, 1, 11, 12, 65_535), fc.nat(65_535));
  await fc.assert(
    fc.asyncProperty(lie, places, fc.boolean(), fc.boolean(), async (length, cuts, closes, isGone) => {
      const answer = (query: Uint8Array) => answerTo(query, { rcode: isGone ? NXDOMAIN : 0 });
      const right = answer(encodeQuestion(0, NAME, "A")).length;
      fc.pre(length !== right);
      const parts = (query: Uint8Array) => cutAt(framed(answer(query), length), cuts);
      await using liar = new LyingServer({ parts, closes });
      await assert.rejects(resolveHost(NAME, "A", options([liar.target])), UnresolvedError);
      await using closing = new LyingServer({ parts, closes: true });
      await using honest = new LyingServer(HONEST);
      const { records, exists } = await resolveHost(NAME, "A", options([closing.target, honest.target], PATIENT));
      assert.deepEqual([records, exists, closing.queries], [["192.0.2.1"], true, 1]);
    }),
    { numRuns: 30 },
  );
});

Deno.test("resolveHost() does not mistake a flood of unrelated answers for a name that does not exist", async () => {
  const other = fc.record({
    id: fc.integer({ min: 1, max: 0xffff }),
    name: fc.constantFrom("other.test", "web.example", "test"),
    isOtherId: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(other, { minLength: 1, maxLength: 30 }), async (others) => {
      const flood = (query: Uint8Array) =>
        others.map(({ id, name, isOtherId }) => {
          const own = (query[0] ?? 0) << 8 | (query[1] ?? 0);
          const question = encodeQuestion(isOtherId ? own ^ id : own, isOtherId ? NAME : name, "A");
          return framed(answerTo(question, { rcode: NXDOMAIN }));
        });
      await using server = new LyingServer({ parts: flood, closes: true });
      await assert.rejects(resolveHost(NAME, "A", options([server.target])), UnresolvedError);
    }),
    { numRuns: 50 },
  );
});

Deno.test("resolveHost() rejects an answer with records of a name that does not exist, and asks the next server", async () => {
  await using server = new LyingServer({
    parts: (query) => [framed(answerTo(query, { rcode: NXDOMAIN, hasAddress: true }))],
    closes: true,
  });
  await assert.rejects(resolveHost(NAME, "A", options([server.target])), UnresolvedError);
  await using honest = new LyingServer(HONEST);
  const { records, exists } = await resolveHost(NAME, "A", options([server.target, honest.target], PATIENT));
  assert.deepEqual([records, exists], [["192.0.2.1"], true]);
});

Deno.test("resolveHost() asks for each name of the search list once, though none exists", async () => {
  await using server = new LyingServer({
    parts: (query) => [framed(answerTo(query, { rcode: NXDOMAIN }))],
    closes: true,
  });
  const searchDomains = Array.from({ length: 32 }, (_, i) => `s${i}.test`);
  const patient = { ...PATIENT, searchDomains };
  const { records, exists, ttlMs } = await resolveHost("web", "A", options([server.target, server.target], patient));
  assert.deepEqual([records, exists, server.queries], [[], false, searchDomains.length + 1]);
  assert(ttlMs > 0);
});
