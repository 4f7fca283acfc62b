import type { NotifierPlugin } from "../../../mod.ts";
import { quote } from "../../../src/kernel/quote.ts";
import { webhookBody } from "../webhook/mod.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";

/** The keys, validated. */
interface ExecConfig {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: { readonly [name: string]: string };
}

/** So much of what a program complains is quoted. */
const QUOTED_MAX = 200;
/** How long a program's complaint is waited for once it has ended: what it left running may hold the stream open. */
const COMPLAINT_MS = 500;

/** The notifier `exec`: a program that runs outside of any sandbox. */
const exec: NotifierPlugin<ExecConfig> = {
  kind: "notifier",
  apiVersion: 1,
  name: "exec",
  summary: "Runs a program with events on its standard input; the program is not sandboxed",
  stability: "stable",
  example: { command: "/bin/true" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ command }) => ({ run: [command] }),
  async notify(events, { command, args, env }, signal) {
    signal.throwIfAborted();
    const child = new Deno.Command(command, {
      args: [...args],
      env: { ...env },
      clearEnv: true,
      cwd: "/",
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const end = () => kill(child);
    signal.addEventListener("abort", end, { once: true });
    const complaint = new Complaint(child.stderr);
    try {
      // Only the program's end counts: what it left running may never read the rest.
      void feed(child, webhookBody(events));
      const { code, signal: endedBy } = await child.status;
      signal.throwIfAborted();
      if (code === 0) return;
      const text = (await complaint.within(COMPLAINT_MS)).trim();
      const said = text === "" ? "" : `: ${quote(text.slice(0, QUOTED_MAX))}`;
      throw new Error(
        `Cannot deliver to ${command}: ${endedBy ?? `exit status ${code}`}${said}, expected exit status 0`,
      );
    } finally {
      signal.removeEventListener("abort", end);
      complaint.stop();
    }
  },
};

export default exec;

async function feed(child: Deno.ChildProcess, text: string): Promise<void> {
  const writer = child.stdin.getWriter();
  // A program need not read what it is given.
  await writer.write(new TextEncoder().encode(text)).catch(() => {});
  await writer.close().catch(() => {});
}

/** Reads what a program complains as it runs, so that it can write on, and keeps the beginning. */
class Complaint {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #ended: Promise<void>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.#ended = this.#read().catch(() => {});
  }

  /** What was said until the stream ends, or `ms` have passed. */
  async within(ms: number): Promise<string> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([this.#ended, late]);
    clearTimeout(timer);
    return this.#text;
  }

  stop(): void {
    void this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return;
      if (this.#text.length <= QUOTED_MAX) this.#text += decoder.decode(value, { stream: true });
    }
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It has ended already.
    if (!(error instanceof TypeError)) throw error;
  }
}
