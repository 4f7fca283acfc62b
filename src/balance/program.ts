import { formatDuration } from "../kernel/duration.ts";

/** How long output is awaited after its program has ended: a daemon may keep the pipe open. */
const OUTPUT_GRACE_MS = 100;

/** How much of a program's output is kept. */
const OUTPUT_LENGTH_MAX = 16_384;

/** Where balancers are installed, and which a user's PATH often lacks. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin";

/** How a program ended, and its trimmed output, stdout and stderr together. */
export interface ProgramResult {
  readonly success: boolean;
  readonly code: number;
  readonly output: string;
}

/**
 * Runs a program in an environment that holds nothing but PATH, and kills it at the deadline or when the
 * signal is aborted; throws {@linkcode LateProgramError} or the signal's reason then. Its output is not
 * awaited for long after its end, since a daemon that it left behind may keep the pipe.
 */
export async function runProgram(
  argv: readonly string[],
  { signal, deadlineMs }: { readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<ProgramResult> {
  const [program = "", ...args] = argv;
  signal.throwIfAborted();
  const child = new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...programEnvironment(),
  }).spawn();
  const outputs = [new OutputReader(child.stdout), new OutputReader(child.stderr)];
  let late = false;
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, deadlineMs);
  signal.addEventListener("abort", kill, { once: true });
  try {
    const { success, code } = await child.status;
    const texts = await Promise.all(outputs.map((output) => output.text(OUTPUT_GRACE_MS)));
    signal.throwIfAborted();
    const output = texts.join("").trim();
    if (late) {
      throw new LateProgramError(
        `did not exit within ${formatDuration(deadlineMs)}${output === "" ? "" : `: ${output}`}`,
      );
    }
    return { success, code, output };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", kill);
  }
}

/** The environment of every program: nothing but PATH. */
export function programEnvironment(): { readonly clearEnv: true; readonly env: Record<string, string> } {
  return { clearEnv: true, env: { PATH: searchPath() } };
}

/**
 * Identifies the file that a name or a path resolves to, so that a program that replaces it, as an upgrade
 * does, is recognized. `undefined` if there is none.
 */
export function identifyProgram(program: string): string | undefined {
  const candidates = program.includes("/")
    ? [program]
    : searchPath().split(":").map((folder) => `${folder}/${program}`);
  for (const path of candidates) {
    try {
      const { isFile, dev, ino, size, mtime } = Deno.statSync(path);
      if (isFile) return [path, dev, ino, size, mtime?.getTime()].join(" ");
    } catch {
      // It does not exist, or is not visible to this user: the next one may be.
    }
  }
  return undefined;
}

function searchPath(): string {
  return [Deno.env.get("PATH"), SYSTEM_PATH].filter((part) => part !== undefined).join(":");
}

/** A program did not end in time. */
export class LateProgramError extends Error {
  override name = "LateProgramError";
}

/** Collects a program's output, up to a useful length. */
class OutputReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #ended: Promise<void>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.#ended = this.#pump();
  }

  /** Returns what has arrived, at the end of the stream or after `graceMs`. */
  async text(graceMs: number): Promise<string> {
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(grace.resolve, graceMs);
    await Promise.race([this.#ended, grace.promise]);
    clearTimeout(timer);
    await this.#reader.cancel().catch(() => {});
    await this.#ended;
    return this.#text;
  }

  async #pump(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await this.#reader.read().catch(() => ({ done: true, value: undefined }));
      if (done || value === undefined) return;
      if (this.#text.length < OUTPUT_LENGTH_MAX) this.#text += decoder.decode(value, { stream: true });
    }
  }
}
