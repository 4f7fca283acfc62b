import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { AssertionError } from "../../src/kernel/assert.ts";
import { NobodyListensError, RuntimeSocket, SocketSilentError } from "../../src/balance/runtime_socket.ts";
import { TempDir } from "../support/temp_dir.ts";
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";

/** A scripted balancer's reaction to a line: an answer, in any number of pieces, or nothing more. */
type Script = (line: string) => readonly string[] | "silence" | "end";

/** A Unix socket that answers lines from a script, one connection after the other. */
class ScriptedSocket implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #listener: Deno.UnixListener;
  readonly #served: Promise<void>;
  readonly #open: Deno.UnixConn[] = [];
  /** The lines received. */
  readonly lines: string[] = [];

  constructor(script: Script) {
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
    this.#served = this.#serve(script);
  }

  /** Its path. */
  get path(): string {
    return this.#dir.file("socket");
  }

  async #serve(script: Script): Promise<void> {
    for await (const connection of this.#listener) {
      this.#open.push(connection);
      await this.#answer(connection, script).catch(() => {});
    }
  }

  async #answer(connection: Deno.UnixConn, script: Script): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for (const chunk = new Uint8Array(4_096);;) {
      const length = await connection.read(chunk);
      if (length === null) return;
      const [...lines] = (rest + decoder.decode(chunk.subarray(0, length))).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        this.lines.push(line);
        const pieces = script(line);
        if (pieces === "silence") continue;
        if (pieces === "end") return connection.close();
        for (const piece of pieces) {
          const bytes = new TextEncoder().encode(piece);
          for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) {
      try {
        connection.close();
      } catch {
        // The script has closed it.
      }
    }
    await this.#served;
    await this.#dir[Symbol.asyncDispose]();
  }
}

const signal = new AbortController().signal;

/** Echoes each line, as the interactive mode does. */
const echo: Script = (line) => line === "prompt" ? ["\n> "] : [`${line}!\n\n> `];

Deno.test("RuntimeSocket separates responses that end in one or two line breaks, or arrive in pieces", async () => {
  const answers: Record<string, readonly string[]> = {
    prompt: ["\n", "> "],
    one: ["No such backend.\n> "],
    two: ["New server ", "registered.\n", "\n> "],
    none: ["\n> "],
    many: ["# name\nb\n\n> \n> "],
    last: ["ende € nd\n\n> "],
  };
  await using server = new ScriptedSocket((line) => answers[line] ?? ["\n> "]);
  using socket = await RuntimeSocket.connect(server.path, { dialect: PROMPT, signal });
  assert.deepEqual(await socket.ask(["one", "two", "none"]), ["No such backend.", "New server registered.", ""]);
  assert.deepEqual(await socket.ask(["many", "x"]), ["# name\nb", ""]);
  assert.deepEqual(await socket.ask([]), []);
});

Deno.test("RuntimeSocket sends thousands of commands, and each gets its own response", async () => {
  await using server = new ScriptedSocket(echo);
  using socket = await RuntimeSocket.connect(server.path, { dialect: PROMPT, signal });
  const commands = Array.from({ length: 5_000 }, (_, index) => `add server web/node${index}.example.com:8000`);
  assert.deepEqual(await socket.ask(commands), commands.map((command) => `${command}!`));
  assert.equal(server.lines.length, commands.length + 1);
});

Deno.test("RuntimeSocket rejects a string that would be two commands", async () => {
  await using server = new ScriptedSocket(echo);
  using socket = await RuntimeSocket.connect(server.path, { dialect: PROMPT, signal });
  for (const command of ["a;b", "a\nb", "a\rb", ""]) await assert.rejects(socket.ask([command]), AssertionError);
  assert.deepEqual(server.lines, ["prompt"]);
});

Deno.test("RuntimeSocket distinguishes no listener from no answer", async () => {
  await using dir = new TempDir();
  await assert.rejects(RuntimeSocket.connect(dir.file("none"), { dialect: PROMPT, signal }), NobodyListensError);
  Deno.listen({ transport: "unix", path: dir.file("stale") }).close();
  await assert.rejects(RuntimeSocket.connect(dir.file("stale"), { dialect: PROMPT, signal }), NobodyListensError);
  await using silent = new ScriptedSocket(() => "silence");
  await assert.rejects(RuntimeSocket.connect(silent.path, { dialect: PROMPT, signal, deadlineMs: 50 }), {
    name: SocketSilentError.name,
    message: `No response at ${silent.path} within 50ms`,
  });
});

Deno.test("RuntimeSocket reports a connection that ends in the middle of an answer", async () => {
  await using server = new ScriptedSocket((line) => line === "prompt" ? ["\n> "] : "end");
  using socket = await RuntimeSocket.connect(server.path, { dialect: PROMPT, signal });
  await assert.rejects(socket.ask(["show info"]), SocketSilentError);
});

Deno.test("RuntimeSocket aborts with its signal", async () => {
  await using server = new ScriptedSocket((line) => line === "prompt" ? ["\n> "] : "silence");
  const stop = new AbortController();
  using socket = await RuntimeSocket.connect(server.path, { dialect: PROMPT, signal: stop.signal });
  const asked = socket.ask(["show info"]);
  const reason = new Error("stopping");
  stop.abort(reason);
  await assert.rejects(asked, reason);
});

Deno.test("RuntimeSocket aborts an endless answer, and answers that are too large together", async () => {
  const endless = "x".repeat(1024 * 1024);
  for (const answer of [endless, `${endless}\n> `]) {
    await using server = new ScriptedSocket((line) => line === "prompt" ? ["\n> "] : new Array(100).fill(answer));
    using socket = await RuntimeSocket.connect(server.path, { dialect: PROMPT, signal, deadlineMs: 60_000 });
    await assert.rejects(
      socket.ask(new Array(200).fill("show info")),
      /Responses at .* longer than 67108864 bytes/,
    );
  }
});

Deno.test("RuntimeSocket reads a long answer in time proportional to its length", async () => {
  const readMs = async (length: number) => {
    const answer = "x".repeat(length);
    await using server = new ScriptedSocket((line) => line === "prompt" ? ["\n> "] : [answer, "\n> "]);
    using socket = await RuntimeSocket.connect(server.path, { dialect: PROMPT, signal, deadlineMs: 60_000 });
    const began = performance.now();
    assert.equal((await socket.ask(["show stat"]))[0]?.length, length);
    return performance.now() - began;
  };
  const [short, long] = [4_000_000, 32_000_000];
  // Eight times as long: quadratic time would be 64 times as long. The fastest of each counts, since other users of
  // the machine make a run longer, never shorter.
  let [shortMs, longMs] = [Infinity, Infinity];
  await eventually("a long answer takes about eight times as long as a short one", async () => {
    [shortMs, longMs] = [Math.min(shortMs, await readMs(short)), Math.min(longMs, await readMs(long))];
    assert.ok(longMs < 40 * shortMs, `${longMs} ms and ${shortMs} ms`);
    return true;
  });
});
