import type { CheckPlugin, Endpoint, ProbeOutcome } from "../../../mod.ts";
import { ownFault } from "../../../src/kernel/own_fault.ts";
import { isSecretKey, MASK } from "../../../src/kernel/secret.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { quoteBytes } from "../connection.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { ExecConfig } from "./config.ts";

/** Time between SIGTERM and SIGKILL: a probe must end within 200 ms of its abort. */
const KILL_AFTER_MS = 100;
/** Maximum size of a program's error output that is kept for the reason. */
const COMPLAINT_BYTES_MAX = 4_096;

/** The check `exec`; its keys are in the README beside this file. */
const exec: CheckPlugin<ExecConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "exec",
  summary: "Passes when a program exits with an accepted status",
  stability: "stable",
  example: { command: "/usr/lib/nagios/plugins/check_load", args: ["-w", "5,4,3", "-c", "10,8,6"] },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ command }) => ({ run: [command] }),
  async probe(config, { target, signal }): Promise<ProbeOutcome> {
    signal.throwIfAborted();
    const child = spawn(config, target);
    // A program that did not run says nothing about the service.
    if ("failed" in child) return { status: "unknown", reason: child.failed };
    const end = () => void endProcess(child);
    signal.addEventListener("abort", end, { once: true });
    try {
      const [output, complaint, status] = await Promise.all([
        beginning(child.stdout, config.output_limit, signal),
        beginning(child.stderr, COMPLAINT_BYTES_MAX, signal),
        child.status,
      ]);
      signal.throwIfAborted();
      return outcomeOf(config, { output, complaint, status });
    } finally {
      signal.removeEventListener("abort", end);
    }
  },
};

export default exec;

function spawn(config: ExecConfig, target: Endpoint): Deno.ChildProcess | { readonly failed: string } {
  const { command, args, env, directory: cwd } = config;
  const address = parseEndpoint(target);
  const words = new Map([["{host}", address?.host ?? ""], ["{port}", `${address?.port ?? ""}`], ["{target}", target]]);
  const fill = (text: string) => text.replace(/\{(?:host|port|target)\}/g, (word) => words.get(word) ?? word);
  try {
    return new Deno.Command(command, {
      args: args.map(fill),
      clearEnv: true,
      env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, fill(value)])),
      cwd,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || !(error instanceof Error)) throw error;
    const why = ownFault(error) ?? error.message;
    return { failed: `Cannot run ${command}: ${why.replace(/Failed to spawn '.*?': /s, "")}` };
  }
}

/** Terminates the process, then kills it; Deno allows ending its children only with permission to run all. */
async function endProcess(child: Deno.ChildProcess): Promise<void> {
  send(child, "SIGTERM");
  const overdue = Promise.withResolvers<"overdue">();
  AbortSignal.timeout(KILL_AFTER_MS).addEventListener("abort", () => overdue.resolve("overdue"), { once: true });
  if (await Promise.race([child.status, overdue.promise]) === "overdue") send(child, "SIGKILL");
}

function send(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // Already ended.
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Reads all of a stream and keeps the beginning; an abort releases it, as a child may hold its other end. */
async function beginning(stream: ReadableStream<Uint8Array>, maxBytes: number, signal: AbortSignal) {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const kept = value.subarray(0, maxBytes - length);
      if (kept.length > 0) chunks.push(kept);
      length += kept.length;
    }
  } finally {
    signal.removeEventListener("abort", cancel);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** The outcome of a program. */
interface Ended {
  readonly output: Uint8Array;
  readonly complaint: Uint8Array;
  readonly status: Deno.CommandStatus;
}

function outcomeOf(config: ExecConfig, { output, complaint, status }: Ended): ProbeOutcome {
  const { command } = config;
  const said = quoteFirstLine(config, output);
  const complained = quoteFirstLine(config, complaint) || said;
  if (status.signal !== null) {
    return { status: "fail", reason: `${command} was killed by ${status.signal}${complained}` };
  }
  if (!config.status.includes(status.code)) {
    const wanted = config.status.join(", ");
    return {
      status: "fail",
      reason: `Got exit status ${status.code} from ${command}, expected ${wanted}${complained}`,
    };
  }
  if (config.output !== undefined && !new TextDecoder().decode(output).includes(config.output)) {
    const wanted = quoteBytes(new TextEncoder().encode(config.output));
    const where = `the first ${config.output_limit} bytes of output of ${command}`;
    return { status: "fail", reason: `${wanted} not found in ${where}${complained}` };
  }
  return { status: "pass", detail: `Got exit status ${status.code}${said}` };
}

/** Quotes the first non-empty line, as `: "…"`, without the program's secrets. */
function quoteFirstLine({ env }: ExecConfig, bytes: Uint8Array): string {
  let line = new TextDecoder().decode(bytes).split(/[\r\n]+/).find((each) => each.trim() !== "") ?? "";
  for (const [name, value] of Object.entries(env)) {
    if (isSecretKey(name) && value !== "") line = line.replaceAll(value, MASK);
  }
  return line === "" ? "" : `: ${quoteBytes(new TextEncoder().encode(line))}`;
}
