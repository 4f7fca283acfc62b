import type { NotifierPlugin } from "../../../mod.ts";
import { quote } from "../../../src/kernel/quote.ts";
import { webhookBody } from "../webhook/mod.ts";
import { schema } from "./config.ts";

/** The keys, validated. */
interface ExecConfig {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: { readonly [name: string]: string };
}

/** So much of what a program complains is quoted. */
const QUOTED_MAX = 200;

/** The notifier `exec`: a program that runs outside of any sandbox. */
const exec: NotifierPlugin<ExecConfig> = {
  kind: "notifier",
  apiVersion: 1,
  name: "exec",
  summary: "Runs a program with events on its standard input; the program is not sandboxed",
  stability: "stable",
  example: { command: "/bin/true" },
  config: schema,
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
    try {
      const feeding = feed(child, webhookBody(events));
      const [{ code, signal: endedBy }, complaint] = await Promise.all([child.status, textOf(child.stderr), feeding]);
      signal.throwIfAborted();
      if (code === 0) return;
      const said = complaint.trim() === "" ? "" : `: ${quote(complaint.trim().slice(0, QUOTED_MAX))}`;
      throw new Error(`Cannot deliver by ${command}: ${endedBy ?? `exit status ${code}`}${said}, want exit status 0`);
    } finally {
      signal.removeEventListener("abort", end);
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

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) if (text.length <= QUOTED_MAX) text += decoder.decode(chunk, { stream: true });
  return text;
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It has ended already.
    if (!(error instanceof TypeError)) throw error;
  }
}
