import config from "../../deno.json" with { type: "json" };

import { ANNOUNCED } from "./lighthouse.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** The `deno` arguments of the task `lighthouse`, and the program: the tests run what users run. */
const ARGS: readonly string[] = config.tasks.lighthouse.command.split(" ").slice(1);

/** The exit status and output of a run. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `lighthouse` with the arguments to completion, without colours and without wrapping lines. */
export async function runCli(
  args: readonly string[],
  { deadlineMs = 60_000, variables = {}, stdin }: {
    readonly deadlineMs?: number;
    /** Its standard input. */
    readonly stdin?: string;
    readonly variables?: Readonly<Record<string, string>>;
  } = {},
): Promise<CliResult> {
  const { COLUMNS: _columns, FORCE_COLOR: _colour, ...env } = Deno.env.toObject();
  // The host name of the test machine must not matter.
  const isCheck = args[0] === "check" && !args.includes("--help") && !args.includes("--host");
  const announced = isCheck ? ["--host", ANNOUNCED.host, "--ip", ANNOUNCED.ip] : [];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...ARGS, ...args, ...announced],
    cwd: ROOT,
    env: { ...env, NO_COLOR: "1", ...variables },
    clearEnv: true,
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(deadlineMs),
  }).spawn();
  if (stdin !== undefined) await new Response(stdin).body?.pipeTo(child.stdin);
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
