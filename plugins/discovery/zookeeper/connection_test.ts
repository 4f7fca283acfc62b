import assert from "node:assert/strict";
import { systemClock } from "../../../src/kernel/clock.ts";
import { isSilent, type Script, ScriptedServer } from "../../../tests/support/scripted_server.ts";
import {
  Connection,
  ConnectionLostError,
  type ConnectionOptions,
  SessionOverError,
  ZooKeeperError,
} from "./connection.ts";
import { FrameCutter, type WatchEvent, WireReader, WireWriter } from "./wire.ts";

/** What a scripted server sees of a request. */
interface Request {
  readonly xid: number;
  readonly operation: number;
}

/** Lets the client in for a session of `timeoutMs`, then answers each request with what `answer` makes, if anything. */
function zookeeper(timeoutMs: number, answer: (request: Request) => readonly WireWriter[]): Script {
  return async (connection) => {
    const cutter = new FrameCutter();
    const buffer = new Uint8Array(4_096);
    let isIn = false;
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) return;
      for (const frame of cutter.push(buffer.subarray(0, count))) {
        const from = new WireReader(frame);
        const welcome = new WireWriter().int(0).int(timeoutMs).long(7n).bytes(new Uint8Array(16)).flag(false);
        const answers = isIn ? answer({ xid: from.int(), operation: from.int() }) : [welcome];
        isIn = true;
        for (const each of answers) await connection.write(each.frame());
      }
    }
  };
}

function reply(xid: number, code: number): WireWriter {
  return new WireWriter().int(xid).long(1n).int(code);
}

function options(change: Partial<ConnectionOptions> = {}): ConnectionOptions {
  return {
    ticket: { id: 0n, password: new Uint8Array(16), lastZxid: 0n },
    sessionTimeoutMs: 10_000,
    deadlineMs: 10_000,
    clock: systemClock,
    signal: AbortSignal.timeout(15_000),
    onEvent() {},
    ...change,
  };
}

/** A connection to a scripted server; both end together. */
async function connect(script: Script, change: Partial<ConnectionOptions> = {}) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(new ScriptedServer(script));
  const connection = await Connection.open(server.target, options(change));
  stack.defer(() => connection.hangUp("The test is over"));
  const moved = stack.move();
  return Object.assign(connection, { [Symbol.asyncDispose]: () => moved.disposeAsync() });
}

Deno.test.each([
  { what: "hangs up without a word", script: () => Promise.resolve(), says: /HandshakeRefusedError: .* hung up/ },
  { what: "says nothing", script: isSilent, says: /did not answer within 200 ms/ },
  {
    what: "speaks HTTP",
    script: async (connection: Deno.TcpConn) => {
      await connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    },
    says: /WireFormatError: Cannot take a frame/,
  },
  {
    what: "lets nobody in",
    script: async (connection: Deno.TcpConn) => {
      await connection.write(new WireWriter().int(0).int(0).long(0n).bytes(new Uint8Array(16)).frame());
    },
    says: /SessionOverError: .* says that the session has expired/,
  },
])("Connection.open() refuses a server that $what", async ({ script, says }) => {
  await using server = new ScriptedServer(script as Script);
  await assert.rejects(
    Connection.open(server.target, options({ deadlineMs: 200 })),
    (error) => says.test(String(error)),
  );
});

Deno.test("Connection.open() gives up when it is told to", async () => {
  await using server = new ScriptedServer(isSilent);
  const opening = Connection.open(server.target, options({ signal: AbortSignal.timeout(20) }));
  await assert.rejects(opening);
  await assert.rejects(Connection.open(server.target, options({ signal: AbortSignal.abort() })));
});

Deno.test.each([
  {
    what: "falls silent",
    answer: () => [],
    says: /ConnectionLostError: .* is silent/,
  },
  {
    what: "answers pings and nothing else",
    answer: ({ xid }: Request) => xid === -2 ? [reply(-2, 0)] : [],
    says: /ConnectionLostError: .* gave no answer to: read \/a/,
  },
  {
    what: "answers out of turn",
    answer: ({ xid }: Request) => [reply(xid + 1, 0)],
    says: /ConnectionLostError: .* answered out of turn/,
  },
  {
    what: "answers half a record",
    answer: ({ xid }: Request) => [reply(xid, 0)],
    says: /ConnectionLostError: .* answered what cannot be read: Cannot read 4 bytes/,
  },
  {
    what: "says that the session has expired",
    answer: ({ xid }: Request) => [reply(xid, -112)],
    says: /SessionOverError: The session has expired/,
  },
])("Connection rejects what is in flight when the server $what", async ({ answer, says }) => {
  await using connection = await connect(zookeeper(120, answer));
  await assert.rejects(connection.getData("/a", { watch: false }), (error) => says.test(String(error)));
  const cause = await connection.closed;
  assert.ok(cause instanceof ConnectionLostError || cause instanceof SessionOverError, String(cause));
  await assert.rejects(connection.sync("/a"), (error) => error === cause);
});

Deno.test("Connection ends when the credential is refused, and does not print it", async () => {
  const auth = { scheme: "digest", secret: "web:s3cret" };
  const answer = ({ xid }: Request) => xid === -4 ? [reply(-4, -115)] : [];
  await using connection = await connect(zookeeper(10_000, answer), { auth });
  const cause = await connection.closed;
  assert.match(String(cause), /SessionOverError: .* does not accept the credential: authentication failed/);
  assert.doesNotMatch(String(cause), /s3cret/);
});

Deno.test("Connection goes on when it hears of errors and events that nobody knows", async () => {
  const events: WatchEvent[] = [];
  const answer = ({ xid }: Request) => {
    const event = new WireWriter().int(-1).long(-1n).int(0).int(99).int(3).text("/a");
    return [event, reply(xid, -4_242)];
  };
  await using connection = await connect(zookeeper(10_000, answer), { onEvent: (event) => events.push(event) });
  await assert.rejects(
    connection.sync("/a"),
    (error) => error instanceof ZooKeeperError && error.message === "Cannot sync /a: error -4242",
  );
  await assert.rejects(connection.delete("/a"), /Cannot delete \/a: error -4242/);
  assert.deepEqual(events, [{ type: 99, path: "/a" }, { type: 99, path: "/a" }]);
});

Deno.test("Connection stays with a server that is busy, but alive", async () => {
  let pings = 0;
  const answer = ({ xid }: Request) => {
    if (xid !== -2) return [];
    pings++;
    // By its sixth ping the client has waited twice the time-out, which is not yet too long.
    return pings < 6 ? [reply(-2, 0)] : [reply(-2, 0), reply(1, 0)];
  };
  await using connection = await connect(zookeeper(240, answer));
  await connection.delete("/a");
  assert.ok(pings >= 6);
});

Deno.test("Connection speaks IPv6", async () => {
  await using server = new ScriptedServer(zookeeper(10_000, ({ xid }) => [reply(xid, 0)]), "::1");
  const connection = await Connection.open(`[::1]:${server.port}`, options());
  await connection.delete("/a");
  assert.equal(connection.ticket.id, 7n);
  assert.equal(connection.ticket.lastZxid, 1n);
  connection.hangUp("The test is over");
});
