/**
 * What answers at HAProxy's socket is not HAProxy, or misbehaves: the writer
 * stays bounded, logs it once, serves other balancers meanwhile, and recovers
 * when HAProxy is back.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Executor } from "../../src/balance/executor.ts";
import { setUp } from "../setup.ts";
import { freePort, HaproxyBox, localNode, RunningWriter } from "../support/haproxy.ts";
import { eventually } from "../support/eventually.ts";

/** Returns one line of a connection; however it writes, it reports when it is done. */
type Hostile = (
  line: string,
  write: (text: string) => Promise<void>,
  connection: Deno.UnixConn,
) => Promise<void> | void;

/** Listens at a socket as HAProxy would, with a test's answers. */
class Impostor implements AsyncDisposable {
  readonly #listener: Deno.UnixListener;
  readonly #open = new Set<Deno.UnixConn>();
  readonly #served: Promise<void>;
  /** The number of connections. */
  connections = 0;

  constructor(path: string, answer: Hostile) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#served = this.#serve(answer);
  }

  async #serve(answer: Hostile): Promise<void> {
    const all: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.connections++;
      this.#open.add(connection);
      all.push(this.#answer(connection, answer).catch(() => {}).finally(() => this.#close(connection)));
    }
    await Promise.all(all);
  }

  async #answer(connection: Deno.UnixConn, answer: Hostile): Promise<void> {
    const write = async (text: string) => {
      const bytes = new TextEncoder().encode(text);
      for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    };
    let rest = "";
    for (const chunk = new Uint8Array(65_536);;) {
      const length = await connection.read(chunk);
      if (length === null) return;
      const lines = (rest + new TextDecoder().decode(chunk.subarray(0, length))).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) await answer(line, write, connection);
    }
  }

  #close(connection: Deno.UnixConn): void {
    if (!this.#open.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // The connection is closed.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) this.#close(connection);
    await this.#served;
  }
}

const HEADER =
  "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port";
const server = (backend: string, name: string, id: number) =>
  `3 ${backend} ${id} ${name} 127.0.0.1 2 0 1 1 5 1 0 2 0 0 0 0 - 80 - 0 0 - - 0`;

/** Returns as a HAProxy with this pid would, with these servers. */
const haproxy =
  ({ pid = () => 4_000_000, servers = [] }: { pid?: () => number; servers?: readonly string[] }): Hostile =>
  async (line, write) => {
    const answers: Record<string, string> = {
      "prompt": "",
      "show info": `Name: HAProxy\nVersion: 2.6.12\nPid: ${pid()}\n`,
      "show backend": "# name\nweb\n",
      "show servers state": [HEADER, ...servers].join("\n"),
      "show stat -1 1 -1": "# pxname,svname,status,\nweb,FRONTEND,OPEN,\n",
    };
    await write(`${answers[line] ?? ""}\n\n> `);
  };

const afterPrompt = (then: Hostile): Hostile => (line, write, connection) =>
  line === "prompt" ? write("\n> ") : then(line, write, connection);

let pids = 1_000_000;

const HOSTILE: Readonly<Record<string, Hostile>> = {
  "never answers": () => {},
  "writes one line without an end": afterPrompt(async (_, write) => {
    for (const text = "x".repeat(65_536);;) await write(text);
  }),
  "writes lines without an end": afterPrompt(async (_, write) => {
    for (const text = "a b c\n".repeat(10_000);;) await write(text);
  }),
  "writes half an answer": afterPrompt((_, write) => write("Name: HAProxy\nPid: 1")),
  "ends in the middle of an answer": afterPrompt(async (_, write, connection) => {
    await write("Name: HAProxy\nPid: 1");
    connection.close();
  }),
  "answers nonsense": (_, write) => write(`${"\u001b[2J\u0000\u202e\r"}${Math.random()}\n> `),
  "answers thousands of times": (_, write) => write("\n> ".repeat(5_000)),
  "says that it is the first process": haproxy({ pid: () => 1 }),
  "says that it is this process": haproxy({ pid: () => Deno.pid }),
  "has another pid at each look": haproxy({ pid: () => ++pids }),
  "has another pid at each look, and ends each connection": async (line, write, connection) => {
    await haproxy({ pid: () => ++pids })(line, write, connection);
    if (line.startsWith("show stat")) connection.close();
  },
  "has servers whose names are commands": haproxy({
    servers: [server("web", "a;shutdown", 1), server("web", "a\rquit", 2), server("w;eb", "x", 3)],
  }),
  "has 100,000 servers": haproxy({ servers: Array.from({ length: 100_000 }, (_, i) => server("web", `s${i}`, i + 1)) }),
};

/** How often a kind of fault is logged, if only the quoted parts differ. */
const VARIANTS = 5;
/** A socket that does not answer is polled less often. */
const SLOW = /never|without an end|half|100,000/;

Deno.test.each(Object.keys(HOSTILE).map((what) => ({ what })))(
  "a socket that $what is logged, delays no other balancer, and is replaced when HAProxy returns",
  async ({ what }) => {
    await setUp(["haproxy"]);
    await using box = new HaproxyBox();
    await using beside = new HaproxyBox();
    const [port, otherPort] = [freePort(), freePort()];
    const nodes = (length: number) => Array.from({ length }, (_, i) => localNode(8_000 + i));
    const wanted = box.wanted({ web: { section: { port }, nodes: nodes(1) } });
    await using other = new RunningWriter();
    const serveBeside = (count: number) =>
      other.apply(beside.wanted({ web: { section: { port: otherPort }, nodes: nodes(count) } }));
    await serveBeside(1);
    const effects = new Executor({ socketDeadlineMs: 200 });
    await using writer = new RunningWriter({ effects, reconcileMs: 100 });
    {
      const answer = HOSTILE[what];
      assert.ok(answer !== undefined);
      await using impostor = new Impostor(box.socketFile, answer);
      writer.writer.put(wanted);
      for (let i = 0; i < 10; i++) await serveBeside(1 + i % 2);
      const loud = () =>
        writer.records.filter(({ event, level }) =>
          (event === "balancer.failed" || event === "balancer.command_failed") && level !== "debug"
        );
      const looks = SLOW.test(what) ? 6 : 60;
      await eventually(
        "the writer has polled repeatedly, and has logged it",
        () => impostor.connections >= looks && loud().length > 0,
      );
      assert.ok(loud().length <= 3 * VARIANTS, loud().map(({ msg }) => msg).join("\n"));
    }
    // It no longer listens, so HAProxy is started.
    await eventually("HAProxy serves", async () => (await box.serving("web").catch(() => [])).length === 1)
      .catch((error) => {
        throw new Error(`${error.message}\n${writer.log.slice(-20).join("\n")}`);
      });
  },
);
