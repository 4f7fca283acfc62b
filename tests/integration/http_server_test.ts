import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { HTTP_LIMITS, type HttpLimits } from "../../src/http/limits.ts";
import { listenAt } from "../../src/http/listening.ts";
import type { HttpAnswer } from "../../src/http/request.ts";
import { HttpServer, type HttpServerOptions } from "../../src/http/server.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { makeCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { RecordingLogger } from "../support/recording_logger.ts";
import { TempDir } from "../support/temp_dir.ts";

/** The deadline of clients in tests that wait for it to pass. */
const SHORT: HttpLimits = {
  connectionsMax: 100,
  handshakeMs: 300,
  headMs: 300,
  bodyMs: 1_000,
  stallMs: 300,
  idleMs: 300,
};
const LONG: HttpLimits = { ...HTTP_LIMITS, connectionsMax: 100 };

/** A test's server. */
interface Served extends AsyncDisposable {
  readonly server: HttpServer;
  readonly port: number;
}

/** Serves; by default a request is answered with its method, URL and body. */
async function serve(
  { watch = () => {}, ...options }: Partial<HttpServerOptions> & {
    readonly watch?: (listener: Deno.Listener) => void;
  } = {},
): Promise<Served> {
  const listening = await listenAt({ host: "127.0.0.1", port: 0 });
  assert.ok("port" in listening.address);
  const { port } = listening.address;
  watch(listening.listener);
  const server = new HttpServer({
    listener: listening.listener,
    at: `127.0.0.1:${port}`,
    limits: LONG,
    clock: systemClock,
    log: SILENT,
    graceMs: 500,
    async handle({ method, url, body }) {
      let text = "";
      const decoder = new TextDecoder();
      try {
        for await (const chunk of body ?? []) text += decoder.decode(chunk, { stream: true });
      } catch {
        return answer("broken", 400);
      }
      return answer(`${method} ${new URL(url).pathname} ${text}`);
    },
    ...options,
  });
  return { server, port, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** A response without headers of its own. */
function answer(body: HttpAnswer["body"], status = 200): HttpAnswer {
  return { status, headers: [], body };
}

/** A response of events. */
function eventsOf(source: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>): HttpAnswer {
  return { status: 200, headers: [["content-type", "text/event-stream"]], body: new ReadableStream(source) };
}

type Write = (bytes: Uint8Array) => Promise<number>;

/** Replaces how the connections of a listener write. */
function withWrite(listener: Deno.Listener, by: (write: Write, bytes: Uint8Array) => Promise<number>): void {
  const accept = listener.accept.bind(listener);
  listener.accept = async () => {
    const connection = await accept();
    const write = connection.write.bind(connection);
    connection.write = (bytes) => by(write, bytes);
    return connection;
  };
}

/** A client that sends given bytes. */
class Client implements Disposable {
  /** Everything received so far. */
  said = "";
  /** Whether the server has closed. */
  isOver = false;
  readonly #connection: Deno.Conn;

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
    void this.#read();
  }

  static async connect({ port }: { readonly port: number }): Promise<Client> {
    return new Client(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async say(text: string): Promise<void> {
    let rest = new TextEncoder().encode(text);
    while (rest.length > 0) rest = rest.subarray(await this.#connection.write(rest));
  }

  /** Waits until the server has closed. */
  async closed(): Promise<string> {
    await eventually("the server closes", () => this.isOver, { everyMs: 10 });
    return this.said;
  }

  /** Waits for an answer. */
  async heard(pattern: RegExp): Promise<void> {
    await eventually(`it says ${pattern}`, () => pattern.test(this.said), { everyMs: 5 });
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const count = await this.#connection.read(buffer);
        if (count === null) break;
        this.said += new TextDecoder().decode(buffer.subarray(0, count));
      }
    } catch {
      // Reset.
    }
    this.isOver = true;
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // Closed already.
    }
  }
}

const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const post = (fields: string, body = "") => `POST /x HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`;

Deno.test.each([
  { what: "says nothing", text: "" },
  { what: "sends half a head", text: "GET / HTTP/1.1\r\nHost: a\r\n" },
  { what: "sends half a body", text: post("Content-Length: 10", "abc") },
  { what: "sends half a chunk", text: post("Transfer-Encoding: chunked", "5\r\nab") },
  { what: "keeps its connection open after the answer", text: GET },
])("HttpServer closes a connection whose client $what", async ({ text }) => {
  await using served = await serve({ limits: SHORT });
  using client = await Client.connect(served);
  await client.say(text);
  await client.closed();
  await eventually("it is forgotten", () => served.server.connections === 0);
});

Deno.test("HttpServer limits the time of a whole head, not of each byte", async () => {
  await using served = await serve({ limits: SHORT });
  using client = await Client.connect(served);
  let isOver = false;
  const dripping = (async () => {
    for (const byte of "GET / HTTP/1.1\r\nX: ".padEnd(10_000, "x")) {
      if (client.isOver) break;
      await client.say(byte).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    isOver = true;
  })();
  await client.closed();
  await dripping;
  assert.ok(isOver);
});

Deno.test("HttpServer limits the time of a whole body, not of each byte", async () => {
  await using served = await serve({ limits: SHORT });
  using client = await Client.connect(served);
  await client.say(post("Content-Length: 10000"));
  await eventually("the connection is closed though bytes still arrive", async () => {
    await client.say("x").catch(() => {});
    return client.isOver;
  }, { everyMs: 20 });
  assert.equal(client.said.includes("200"), false);
});

Deno.test("HttpServer closes a connection whose client does not read its answer", async () => {
  await using served = await serve({ limits: SHORT, handle: () => answer(new Uint8Array(50_000_000)) });
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: served.port });
  await connection.write(new TextEncoder().encode(GET));
  await eventually("the answer begins", () => served.server.connections === 1);
  await eventually("it is let go", () => served.server.connections === 0);
});

Deno.test("HttpServer keeps a request that waits for its answer, and an active stream, beyond all limits", async () => {
  const late = Promise.withResolvers<HttpAnswer>();
  let stream: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  const clock = new FakeClock();
  await using served = await serve({
    limits: SHORT,
    clock,
    handle: ({ url }) =>
      url.endsWith("/poll") ? late.promise : eventsOf({ start: (controller) => void (stream = controller) }),
  });
  using poll = await Client.connect(served);
  using events = await Client.connect(served);
  using idle = await Client.connect(served);
  await poll.say(GET.replace("/x", "/poll"));
  await events.say(GET.replace("/x", "/events"));
  await events.heard(/^HTTP\/1.1 200 OK\r\n[^]*transfer-encoding: chunked\r\n/);
  await eventually("all are there", () => served.server.connections === 3);
  clock.advance(60_000);
  // The connection that waits for nothing shows that all limits have passed.
  await idle.closed();
  await idle.closed();
  assert.deepEqual([poll.isOver, events.isOver], [false, false]);
  stream?.enqueue(new TextEncoder().encode("data: 1\n\n"));
  await events.heard(/\r\n9\r\ndata: 1\n\n\r\n$/);
  late.resolve(answer("at last"));
  await poll.heard(/at last$/);
  stream?.close();
  await events.heard(/\r\n0\r\n\r\n$/);
});

Deno.test("HttpServer aborts a request whose client is gone, and a stream that nobody reads", async () => {
  let aborted = 0;
  await using served = await serve({
    handle: ({ url, signal }) => {
      if (url.endsWith("/poll")) {
        return new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            aborted++;
            resolve(answer("gone"));
          });
        });
      }
      return eventsOf({ cancel: () => void aborted++ });
    },
  });
  {
    using poll = await Client.connect(served);
    using events = await Client.connect(served);
    await poll.say(GET.replace("/x", "/poll"));
    await events.say(GET);
    await events.heard(/200 OK/);
  }
  await eventually("both are aborted", () => aborted === 2);
  await eventually("both are forgotten", () => served.server.connections === 0);
});

Deno.test("HttpServer at its connection limit closes the longest-idle connection, and serves the new one", async () => {
  const told: string[] = [];
  const warn = (message: string, properties: Readonly<Record<string, unknown>> = {}) =>
    void told.push(`${message} ${properties.event}`);
  await using served = await serve({ limits: { ...LONG, connectionsMax: 16 }, log: { ...SILENT, warn } });
  await using stack = new AsyncDisposableStack();
  const idle: Client[] = [];
  for (let i = 0; i < 40; i++) {
    const client = await Client.connect(served);
    idle.push(client);
    stack.defer(() => client[Symbol.dispose]());
  }
  using client = await Client.connect(served);
  await client.say(GET);
  await client.heard(/GET \/x/);
  await eventually("the first are closed", () => idle.slice(0, 20).every(({ isOver }) => isOver));
  assert.ok(served.server.connections <= 16);
  assert.deepEqual(told, ["Closing connections to make room for new ones http.shed"], "once, however many there are");
});

Deno.test("HttpServer rejects a client while all others wait for their answers, and cuts none of them off", async () => {
  const late = Promise.withResolvers<HttpAnswer>();
  let asked = 0;
  await using served = await serve({
    limits: { ...LONG, connectionsMax: 8 },
    handle: () => {
      asked++;
      return late.promise;
    },
  });
  await using stack = new AsyncDisposableStack();
  const waiting: Client[] = [];
  for (let i = 0; i < 8; i++) {
    const client = await Client.connect(served);
    stack.defer(() => client[Symbol.dispose]());
    waiting.push(client);
    await client.say(GET);
  }
  await eventually("all wait", () => asked === 8);
  using turned = await Client.connect(served);
  assert.match(await turned.closed(), /^HTTP\/1.1 503 Service Unavailable\r\nretry-after: 1\r\n/);
  late.resolve(answer("at last"));
  for (const client of waiting) await client.heard(/at last$/);
});

Deno.test.each([
  { why: "a bare line feed", text: "GET / HTTP/1.1\nHost: a\n\n" },
  { why: "a bare line feed in the head", text: "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n" },
  { why: "a length and chunks", text: post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n") },
  { why: "an endless head", text: `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(100_000)}`, status: 431 },
  { why: "2,000 fields", text: `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(2_000)}\r\n`, status: 431 },
  { why: "a preface of HTTP/2", text: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
  { why: "a handshake of TLS", text: "\x16\x03\x01\x02\x00\x01\x00\x01\n\x03\x03" },
])("HttpServer rejects $why, and closes", async ({ text, status = 400 }) => {
  await using served = await serve();
  using client = await Client.connect(served);
  await client.say(`${text}${GET}`).catch(() => {});
  const said = await client.closed();
  assert.match(said, new RegExp(`^HTTP/1.1 ${status} `));
  assert.equal(said.match(/HTTP\/1\.1/g)?.length, 1, "what follows is not taken for a request");
});

Deno.test.each([
  { why: "a size that is no number", body: "x\r\nab\r\n0\r\n\r\n" },
  { why: "a size with a sign", body: "+2\r\nab\r\n0\r\n\r\n" },
  { why: "a size with 0x", body: "0x2\r\nab\r\n0\r\n\r\n" },
  { why: "a size that is too long", body: "000000002\r\nab\r\n0\r\n\r\n" },
  { why: "an empty size", body: "\r\nab\r\n0\r\n\r\n" },
  { why: "a chunk that is longer than its size", body: "1\r\nab\r\n0\r\n\r\n" },
  { why: "a chunk that ends in a line feed", body: "2\r\nab\n0\r\n\r\n" },
  { why: "a size that ends in a line feed", body: "2\nab\r\n0\r\n\r\n" },
  { why: "a trailer without a name", body: "0\r\n: x\r\n\r\n" },
  { why: "a trailer that is folded", body: "0\r\nX: a\r\n b\r\n\r\n" },
])("HttpServer rejects $why in chunks, and closes", async ({ body }) => {
  await using served = await serve();
  using client = await Client.connect(served);
  await client.say(post("Transfer-Encoding: chunked", `${body}${GET}`));
  const said = await client.closed();
  assert.match(said, /^HTTP\/1.1 400 /);
  assert.equal(said.match(/HTTP\/1\.1/g)?.length, 1, "what follows is not taken for a request");
});

Deno.test("HttpServer answers pipelined requests in order, however their bodies are framed", async () => {
  await using served = await serve();
  using client = await Client.connect(served);
  const chunked = post("Transfer-Encoding: chunked", "2;x=y\r\nab\r\n00003\r\ncde\r\n0\r\nX: y\r\n\r\n");
  await client.say(`${GET}${post("Content-Length: 3", "abc")}\r\n${chunked}${GET.replace("1.1", "1.0")}`);
  const said = await client.closed();
  const bodies = said.split(/HTTP\/1\.1 200 OK\r\n[^]*?\r\n\r\n/).slice(1);
  assert.deepEqual(bodies, ["GET /x ", "POST /x abc", "POST /x abcde", "GET /x "]);
});

Deno.test("HttpServer requests a body that its client sends after 100 Continue, but not one that nobody reads", async () => {
  await using served = await serve();
  using client = await Client.connect(served);
  await client.say(post("Content-Length: 2\r\nExpect: 100-continue"));
  await client.heard(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
  await client.say("ab");
  await client.heard(/POST \/x ab$/);
  await using deaf = await serve({ handle: () => answer("no", 403) });
  using other = await Client.connect(deaf);
  await other.say(post("Content-Length: 2\r\nExpect: 100-continue"));
  assert.match(await other.closed(), /^HTTP\/1.1 403 Forbidden\r\n[^]*connection: close\r\n\r\nno$/);
});

Deno.test("HttpServer lets the process do other work, and answer others, between many requests", async () => {
  let [handled, before, most] = [0, 0, 0];
  const order: string[] = [];
  await using served = await serve({
    handle: ({ url }) => {
      handled++;
      order.push(new URL(url).pathname);
      return answer("x".repeat(1_000));
    },
  });
  const connect = () => Deno.connect({ hostname: "127.0.0.1", port: served.port });
  await using stack = new AsyncDisposableStack();
  const crowd = await Promise.all(Array.from({ length: 60 }, connect));
  const single = stack.use(await Client.connect(served));
  for (const each of crowd) stack.use(each);
  const many = new TextEncoder().encode(GET.repeat(50));
  await Promise.all(crowd.map((each) => each.write(many)));
  await single.say(GET.replace("/x", "/single"));
  while (handled < 60 * 50 + 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    [most, before] = [Math.max(most, handled - before), handled];
  }
  assert.ok(most < 400, `${most} requests were answered in one turn`);
  assert.ok(order.indexOf("/single") < 1_500, `${order.indexOf("/single")} were answered before one that came alone`);
  await single.heard(/200 OK/);
});

Deno.test("HttpServer answers HEAD with the length of the body, and 304 and 204 with none", async () => {
  await using served = await serve({
    handle: ({ url }) => url.endsWith("/x") ? answer("12345") : answer("", Number(url.slice(-3))),
  });
  using client = await Client.connect(served);
  await client.say(GET.replace("GET", "HEAD"));
  await client.heard(/content-length: 5\r\n\r\n$/);
  for (const status of [304, 204]) {
    client.said = "";
    await client.say(GET.replace("/x", `/${status}`));
    await client.heard(/\r\n\r\n$/);
    assert.doesNotMatch(client.said, /content-length|transfer-encoding/);
  }
});

const BROKEN = new TypeError("a fault of its own");

Deno.test.each([
  {
    how: "throws",
    handle: (): HttpAnswer => {
      throw BROKEN;
    },
  },
  { how: "rejects", handle: (): Promise<HttpAnswer> => Promise.reject(BROKEN) },
])("HttpServer logs the error of a handler that $how, answers 500, and keeps the connection", async ({ handle }) => {
  const log = new RecordingLogger();
  await using served = await serve({ log, handle });
  using client = await Client.connect(served);
  await client.say(GET);
  await client.heard(/^HTTP\/1\.1 500 .*internal error/s);
  await client.say(GET);
  await client.heard(/internal error.*HTTP\/1\.1 500 .*internal error/s);
  assert.deepEqual(log.events, ["error http.handler_failed", "error http.handler_failed"]);
  const { properties: { method, url, reason } = {} } = log.records[0] ?? {};
  assert.deepEqual([method, url], ["GET", "http://a/x"]);
  assert.match(String(reason), /^TypeError: a fault of its own\n +at /);
});

Deno.test("HttpServer logs a response whose stream fails, and cuts it off", async () => {
  const log = new RecordingLogger();
  await using served = await serve({
    log,
    handle: () => eventsOf({ pull: (controller) => controller.error(BROKEN) }),
  });
  using client = await Client.connect(served);
  await client.say(GET);
  assert.doesNotMatch(await client.closed(), /0\r\n\r\n$/, "the end of the chunks is not sent");
  assert.deepEqual(log.events, ["error http.handler_failed"]);
});

Deno.test.each([
  { who: "breaks its body off", text: post("Content-Length: 10", "abc"), isCut: true },
  { who: "sends chunks that are none", text: post("Transfer-Encoding: chunked", "x\r\n"), isCut: false },
])("HttpServer logs no error of a handler that fails because its client $who", async ({ text, isCut }) => {
  const log = new RecordingLogger();
  let isRead = false;
  await using served = await serve({
    log,
    async handle({ body }) {
      try {
        for await (const _chunk of body ?? []);
      } finally {
        isRead = true;
      }
      return answer("read");
    },
  });
  using client = await Client.connect(served);
  await client.say(text);
  if (isCut) client[Symbol.dispose]();
  await eventually("the handler has failed", () => isRead);
  await eventually("the connection is closed", () => served.server.connections === 0);
  assert.deepEqual(log.events, []);
});

Deno.test("HttpServer over TLS closes connections with a partial handshake or none, and serves others meanwhile", async () => {
  await using dir = new TempDir();
  const files = await makeCertificates(dir);
  const tls = { cert: await Deno.readTextFile(files.good), key: await Deno.readTextFile(files.key) };
  const clock = new FakeClock();
  await using served = await serve({ limits: SHORT, tls, clock });
  using nothing = await Client.connect(served);
  using half = await Client.connect(served);
  await half.say("\x16\x03\x01\x02\x00\x01\x00\x01");
  using plain = await Client.connect(served);
  await plain.say(GET);
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(files.ca)] });
  const answer = await fetch(`https://localhost:${served.port}/x`, { client, method: "POST", body: "abc" });
  assert.equal(await answer.text(), "POST /x abc");
  // Anything but TLS is rejected at once; the others get the time of a handshake, and no more.
  await plain.closed();
  assert.deepEqual([nothing.isOver, half.isOver], [false, false]);
  clock.advance(SHORT.handshakeMs);
  await Promise.all([nothing.closed(), half.closed()]);
  client.close();
  await eventually("all are forgotten", () => served.server.connections === 0);
});

Deno.test("HttpServer over TLS uses new certificates for new handshakes, and keeps open connections", async () => {
  await using dir = new TempDir();
  const files = await makeCertificates(dir);
  const key = await Deno.readTextFile(files.key);
  const good = { cert: await Deno.readTextFile(files.good), key };
  await using served = await serve({ tls: good });
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(files.ca)] });
  const ask = (with_: Deno.HttpClient) => fetch(`https://localhost:${served.port}/x`, { client: with_ });
  assert.equal(await (await ask(client)).text(), "GET /x ");
  served.server.useCertificates({ cert: await Deno.readTextFile(files.expired), key });
  assert.equal(await (await ask(client)).text(), "GET /x ", "over the connection that there is");
  using another = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(files.ca)] });
  await assert.rejects(ask(another), TypeError, "it has expired");
});

Deno.test("HttpServer that ends completes the current request, and closes idle connections", async () => {
  const late = Promise.withResolvers<HttpAnswer>();
  let asked = 0;
  const handle = () => {
    asked++;
    return late.promise;
  };
  const served = await serve({ handle, graceMs: 10_000 });
  using idle = await Client.connect(served);
  using client = await Client.connect(served);
  await client.say(GET);
  await eventually("both are there", () => asked === 1 && served.server.connections === 2);
  const ending = served[Symbol.asyncDispose]();
  await idle.closed();
  late.resolve(answer("at last"));
  assert.match(await client.closed(), /connection: close\r\n\r\nat last$/);
  await ending;
});

Deno.test("HttpServer writes the answers to pipelined requests at once", async () => {
  let writes = 0;
  await using served = await serve({
    handle: ({ url }) => answer(url.slice("http://a/".length)),
    watch: (listener) =>
      withWrite(listener, (write, bytes) => {
        writes++;
        return write(bytes);
      }),
  });
  using client = await Client.connect(served);
  const asked = Array.from({ length: 20 }, (_, i) => `${i}`);
  await client.say(asked.map((each) => `GET /${each} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
  await client.heard(/\r\n\r\n19$/);
  assert.deepEqual(client.said.split(/HTTP[^]*?\r\n\r\n/).slice(1), asked);
  assert.equal(writes, 1);
});

Deno.test("HttpServer answers pipelined requests in order and completely, however long the answers are", async () => {
  const lengths = [10, 70_000, 0, 11_000, 11_000, 11_000, 65_000, 11_000, 65_536, 1, 200_000, 11_000];
  await using served = await serve({
    handle: ({ url }) => {
      const i = Number(url.slice("http://a/".length));
      const whole = answer(new Uint8Array(lengths[i] ?? 0).fill(97 + i));
      return i % 3 === 2 ? Promise.resolve(whole) : whole;
    },
  });
  using client = await Client.connect(served);
  await client.say(lengths.map((_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
  const bodies = () => client.said.split(/HTTP[^]*?\r\n\r\n/).slice(1);
  const whole = lengths.map((length, i) => String.fromCharCode(97 + i).repeat(length));
  await eventually("all are answered", () => bodies().join("").length === whole.join("").length, { everyMs: 5 });
  assert.deepEqual(bodies(), whole);
});

Deno.test("HttpServer delays no answer for a later one", async () => {
  const late = Promise.withResolvers<HttpAnswer>();
  await using served = await serve({ handle: ({ url }) => url.endsWith("/x") ? answer("first") : late.promise });
  using client = await Client.connect(served);
  await client.say(`${GET}${GET.replace("/x", "/poll")}`);
  await client.heard(/first$/);
  late.resolve(answer("second"));
  await client.heard(/second$/);
});

Deno.test("HttpServer requests a body only after its previous answers, however little is written at once", async () => {
  await using served = await serve({
    watch: (listener) => withWrite(listener, (write, bytes) => write(bytes.subarray(0, 100))),
    async handle({ body }) {
      for await (const chunk of body ?? []) return answer(`got ${chunk.length}`);
      return answer("x".repeat(5_000));
    },
  });
  using client = await Client.connect(served);
  await client.say(`${GET}${GET}${post("Content-Length: 2\r\nExpect: 100-continue")}`);
  await client.heard(/100 Continue/);
  assert.match(client.said, /^(?:HTTP\/1.1 200 OK\r\n[^]*?\r\n\r\nx{5000}){2}HTTP\/1.1 100 Continue\r\n\r\n$/);
  await client.say("ab");
  await client.heard(/got 2$/);
});

Deno.test("HttpServer answers HEAD of a stream with only its head, and keeps serving", async () => {
  let cancelled = 0;
  await using served = await serve({
    handle: ({ method }) => method === "HEAD" ? eventsOf({ cancel: () => void cancelled++ }) : answer("next"),
  });
  using client = await Client.connect(served);
  await client.say(`${GET.replace("GET", "HEAD")}${GET}`);
  await client.heard(/next$/);
  assert.match(client.said, /^HTTP\/1.1 200 OK\r\n[^]*?\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  assert.equal(cancelled, 1);
});

Deno.test("HttpServer that ends does not wait for a rejected client", async () => {
  const served = await serve({ limits: SHORT, graceMs: 60_000 });
  using client = await Client.connect(served);
  await client.say("malformed\r\n\r\n");
  await client.closed();
  await served[Symbol.asyncDispose]();
  assert.equal(served.server.connections, 0);
});
