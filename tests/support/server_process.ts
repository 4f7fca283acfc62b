import { eventually } from "./eventually.ts";

/** A server's command line, and how its readiness is detected. */
export interface ServerProcessOptions
  extends Pick<Deno.CommandOptions, "args" | "cwd" | "env" | "clearEnv" | "uid" | "gid"> {
  /** Its name in messages. */
  readonly name: string;
  /** Whether it serves; a throw or `false` means not yet. */
  readonly serves: () => Promise<unknown>;
  /** Ends it at once. */
  readonly endSignal?: Deno.Signal;
}

/** Ends a process, also one that is stopped, and waits for that. */
export async function endChild(child: Deno.ChildProcess, signal: Deno.Signal): Promise<void> {
  try {
    child.kill(signal);
    // A stopped process handles signals other than SIGKILL only once it continues.
    child.kill("SIGCONT");
  } catch {
    // It has ended by itself.
  }
  await child.status;
}

/** A test's own server, ended when it is disposed of. */
export class ServerProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #endSignal: Deno.Signal;

  private constructor(child: Deno.ChildProcess, endSignal: Deno.Signal) {
    [this.#child, this.#endSignal] = [child, endSignal];
  }

  /** Starts a program and resolves when it serves; throws if it exits first, or misses the deadline. */
  static async start(program: string, options: ServerProcessOptions): Promise<ServerProcess> {
    const { name, serves, endSignal = "SIGKILL", ...command } = options;
    const child = new Deno.Command(program, { ...command, stdin: "null", stdout: "null", stderr: "null" }).spawn();
    await using stack = new AsyncDisposableStack();
    const server = stack.use(new ServerProcess(child, endSignal));
    let ended = false;
    void child.status.then(() => ended = true);
    await eventually(`${name} serves or ends`, async () => ended || await serves() !== false);
    if (ended) throw new Error(`${name} exited at once: ${program} ${command.args?.join(" ") ?? ""}`);
    stack.move();
    return server;
  }

  /** Its pid. */
  get pid(): number {
    return this.#child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill(this.#endSignal);
    } catch (error) {
      // It ended earlier, which the test has noticed.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
  }
}

/** Whether somebody accepts connections there; throws if nobody does. */
export async function listens(port: number, hostname = "127.0.0.1"): Promise<void> {
  (await Deno.connect({ hostname, port })).close();
}
