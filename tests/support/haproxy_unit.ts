import { ANNOUNCED } from "./lighthouse.ts";
import { eventually } from "./eventually.ts";
import type { HaproxyBox } from "./haproxy.ts";

/** How long a service manager waits before a restart: systemd's `RestartSec`. */
const RESTART_MS = 100;

/**
 * HAProxy with a master process, run from the config file of a box as a service
 * manager runs it: in the foreground, and restarted when it ends.
 */
export class HaproxyUnit implements AsyncDisposable {
  readonly #box: HaproxyBox;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #child: Deno.ChildProcess | undefined;
  /** The number of starts. */
  starts = 0;

  private constructor(box: HaproxyBox) {
    this.#box = box;
    this.#running = this.#run();
  }

  /** Writes a packaged config, starts HAProxy from it and waits until it answers. */
  static async start(box: HaproxyBox): Promise<HaproxyUnit> {
    const global = ["global", `\tstats socket ${box.socketFile} mode 600 level admin expose-fd listeners`];
    await Deno.writeTextFile(box.configFile, [...global, "defaults", "\tmode http", ""].join("\n"));
    const unit = new HaproxyUnit(box);
    await eventually("the packaged HAProxy answers", () => box.pid());
    return unit;
  }

  /** The master process. */
  get masterPid(): number {
    if (this.#child === undefined) throw new Error("HAProxy has ended and is not restarted yet");
    return this.#child.pid;
  }

  /** Stops HAProxy gracefully and starts it again, as `systemctl restart` does. */
  restart(): void {
    this.#child?.kill("SIGTERM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    try {
      this.#child?.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#running;
  }

  async #run(): Promise<void> {
    const box = this.#box;
    const args = ["-W", "-S", box.path("master.sock"), "-f", box.configFile, "-p", box.pidFile, "-L", ANNOUNCED.host];
    while (!this.#stop.signal.aborted) {
      this.starts++;
      this.#child = new Deno.Command("haproxy", { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
      await this.#child.status;
      this.#child = undefined;
      if (!this.#stop.signal.aborted) await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
    }
  }
}
