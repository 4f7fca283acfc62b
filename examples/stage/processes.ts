import { findProcesses } from "../../src/system/processes.ts";
import { type Program, ROOT } from "./example.ts";
import type { Host } from "./fleet.ts";

/** How long a program may take to end in order before it is killed. */
const GRACE_MS = 10_000;

/** How long one that was killed may take to be gone. */
const KILLED_MS = 10_000;

/** How often a process is looked for while its end is waited for. */
const LOOK_MS = 50;

/**
 * Starts a program that outlives this one: in a session of its own, its output
 * in a file. It writes its pid before it becomes the program, so that none is
 * ever lost.
 */
export function start({ dir }: Host, { name, args }: Program): void {
  const file = `${dir}/${name}`;
  new Deno.Command("sh", {
    args: ["-c", 'echo $$ > "$0.pid"; exec "$@" >> "$0.log" 2>&1 < /dev/null', file, ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn().unref();
}

/** The pids of a host's program: the one that was written down, if it still is that program. */
export async function pidsOf({ dir }: Host, { name, args }: Program): Promise<readonly number[]> {
  const text = await Deno.readTextFile(`${dir}/${name}.pid`).catch(() => "");
  const pid = Number(text);
  // By now the number may be another process's.
  const same = await findProcesses((found) => found.length === args.length && found.every((arg, i) => arg === args[i]));
  return same.filter((found) => found === pid);
}

/** The pids of a host's HAProxy: it writes one down, but after a reload the old process may still be at its last work. */
export function haproxyPids({ dir }: Host): Promise<readonly number[]> {
  const config = `${dir}/haproxy.cfg`;
  return findProcesses(([program = "", ...args]) =>
    program.endsWith("haproxy") && args.some((arg, i) => arg === "-f" && args[i + 1] === config) && !args.includes("-c")
  );
}

/** Ends what `find` finds, and waits until it finds nothing; with SIGKILL at last. */
export async function end(find: () => Promise<readonly number[]>, signal: Deno.Signal): Promise<void> {
  const killAt = performance.now() + GRACE_MS;
  const giveUpAt = killAt + KILLED_MS;
  let sent: Deno.Signal | undefined;
  for (;;) {
    const pids = await find();
    if (pids.length === 0) return;
    const now = performance.now();
    if (now > giveUpAt) throw new Error(`Cannot end the processes ${pids.join(", ")}: still running after SIGKILL`);
    const due = now > killAt ? "SIGKILL" : signal;
    if (sent !== due) {
      for (const pid of pids) send(pid, due);
      sent = due;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function send(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
