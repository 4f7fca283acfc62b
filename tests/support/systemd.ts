import { eventually } from "./eventually.ts";
import { TempDir } from "./temp_dir.ts";

/** Where Debian has the service systemd. */
const SYSTEMD = "/lib/systemd/systemd";
/** What makes the namespaces that it runs in: it sees and ends no process of this machine. */
const NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--cgroup"] as const;

/** What every service is ordered by; here nothing else is a part of them. */
const TARGETS = ["sysinit", "basic", "shutdown", "network-online", "multi-user", "test"];

/** Why no service manager can run, for a test that is skipped then; `undefined` if one can. */
export const WHY_NO_SYSTEMD: string | undefined = whyNot();

/** A real systemd, the first process of namespaces of its own, with units of the test's own and no others. */
export class Systemd implements AsyncDisposable {
  /** What it has printed. */
  log = "";
  readonly #dir: TempDir;
  /** The control group that everything of it is in. */
  readonly #group: string;
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  #pid = NaN;

  private constructor(dir: TempDir, group: string, child: Deno.ChildProcess) {
    [this.#dir, this.#group, this.#child] = [dir, group, child];
    this.#read = Promise.all([child.stdout, child.stderr].map(async (stream) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) this.log += text;
    }));
  }

  /** Starts one that knows these units, by name. */
  static async start(units: Readonly<Record<string, string>>): Promise<Systemd> {
    const dir = new TempDir("lighthouse-systemd-");
    for (const target of TARGETS) await dir.write(`units/${target}.target`, `[Unit]\nDescription=${target}\n`);
    for (const [name, text] of Object.entries(units)) await dir.write(`units/${name}`, text);
    const script = [
      "mount --make-rprivate /",
      ...["/run", "/var/lib", "/var/cache"].map((path) => `mount -t tmpfs tmpfs ${path}`),
      "mount -t proc proc /proc",
      "mkdir -p /run/systemd",
      `exec ${SYSTEMD} --system --unit=test.target`,
    ];
    const group = `lighthouse-test-${crypto.randomUUID()}`;
    const child = new Deno.Command("sh", {
      args: ["-c", enter(group), "sh", ...NAMESPACES, "sh", "-ec", script.join("\n")],
      env: { container: "lighthouse-test", SYSTEMD_UNIT_PATH: dir.file("units") },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const systemd = new Systemd(dir, group, child);
    try {
      await eventually("systemd answers", async () => {
        const { stdout } = await run(["ps", "--ppid", String(child.pid), "-o", "pid="]);
        systemd.#pid = Number(stdout.trim() || NaN);
        return (await systemd.systemctl("is-active", "test.target")).stdout.trim() === "active";
      }, { deadlineMs: 60_000, everyMs: 200 });
      return systemd;
    } catch (error) {
      await systemd[Symbol.asyncDispose]();
      throw new Error(`${error instanceof Error ? error.message : error}\n${systemd.log}`);
    }
  }

  /** Runs a program where its services run. */
  async run(
    command: readonly string[],
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
    const inside = ["--mount", "--pid", "--ipc", "--uts", "--cgroup"];
    return await run(["nsenter", "--target", String(this.#pid), ...inside, ...command]);
  }

  /** Asks it for something. */
  async systemctl(...args: readonly string[]): ReturnType<Systemd["run"]> {
    return await this.run(["systemctl", ...args]);
  }

  /** Writes a file of a unit, and has all units read again. */
  async write(name: string, text: string): Promise<void> {
    await this.#dir.write(`units/${name}`, text);
    await this.systemctl("daemon-reload");
  }

  /** Properties of a unit. */
  async show(unit: string): Promise<Readonly<Record<string, string>>> {
    const { stdout } = await this.systemctl("show", unit);
    return Object.fromEntries(
      stdout.split("\n").map((line) => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1)];
      }),
    );
  }

  /** Ends it, and all of its services with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
    await this.#read;
    await eventually("its control groups are gone", async () => {
      const { stdout } = await run(["sh", "-c", leave(this.#group)]);
      return stdout === "";
    });
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** A script that enters a control group of its own in each hierarchy that lets it, then runs what it is given. */
function enter(group: string): string {
  return `for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if [ -e "$root/cgroup.procs" ] && mkdir "$root/${group}"; then
      echo $$ > "$root/${group}/cgroup.procs" || rmdir "$root/${group}"
    fi
  done 2>/dev/null
  exec "$@"`;
}

/** A script that removes this control group, and prints what is left of it. */
function leave(group: string): string {
  return `for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -d "$root/${group}" ] && find "$root/${group}" -depth -type d -exec rmdir {} \\; 2>/dev/null
    ls -d "$root/${group}" 2>/dev/null
  done; true`;
}

async function run([program = "", ...args]: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function whyNot(): string | undefined {
  if (Deno.uid() !== 0) return "only root may run a service manager";
  try {
    Deno.statSync(SYSTEMD);
  } catch {
    return `there is no ${SYSTEMD}`;
  }
  const [program, ...args] = NAMESPACES;
  const script = `mount --make-rprivate /
    mount -t tmpfs tmpfs /run
    root=/sys/fs/cgroup
    [ -e $root/cgroup.procs ] || root=$root/systemd
    mkdir $root/lighthouse-test-$$
    rmdir $root/lighthouse-test-$$`;
  const { success } = new Deno.Command(program, {
    args: [...args, "sh", "-ec", script],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return success ? undefined : "the system does not let root make namespaces and control groups here";
}
