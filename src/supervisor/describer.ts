import type { Described, SectionOf } from "../plugin/instance.ts";
import type { Clock } from "../kernel/clock.ts";
import { formatDuration } from "../kernel/duration.ts";
import { within } from "../kernel/within.ts";
import type { SchemaIssue, SchemaResult, Scope } from "../plugin/contract.ts";
import type { Answer, Introduction, Request } from "../protocol/messages.ts";
import type { Hangs } from "./hangs.ts";
import { PluginHost, WorkerDeadlineError } from "./plugin_host.ts";
import { ownRoom } from "./room.ts";

/** How long a plugin may take to be loaded. */
const LOAD_DEADLINE_MS = 10_000;
/** How long a plugin may take to describe one instance. */
const DESCRIBE_DEADLINE_MS = 5_000;
/** How long a worker may take to stop. */
const STOP_GRACE_MS = 2_000;

/**
 * Asks plugins to validate configs and to name the permissions they need, in workers without any
 * permission: one worker per module, kept until the describer is disposed of.
 */
export class Describer implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  readonly #hangs: Hangs | undefined;
  readonly #hosts = new Map<string, PluginHost>();
  #hasFailed = false;

  /**
   * `signal`: when aborted, pending and later descriptions fail at once. `hangs`: what hung is not
   * asked again for a while, or ever.
   */
  constructor(
    { clock, signal, hangs }: {
      readonly clock: Clock;
      readonly signal?: AbortSignal | undefined;
      readonly hangs?: Hangs | undefined;
    },
  ) {
    [this.#clock, this.#signal, this.#hangs] = [clock, signal, hangs];
  }

  /** Whether a plugin could not be asked: its result is temporary, and says nothing of the config. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Asks a plugin for its identity. Throws an error with the reason if it has none: not a plugin, hung, or dead. */
  async introduce(module: string): Promise<Introduction> {
    const answer = await this.#ask(module, { type: "introduce" });
    if (answer.type !== "introduced") throw new Error(`unexpected response to introduce: ${answer.type}`);
    return answer.introduction;
  }

  /** Describes one instance; a plugin that fails at it returns an issue of its own. */
  async describe(module: string, raw: unknown, scope: Scope): Promise<Described> {
    try {
      const answer = await this.#ask(module, { type: "describe", raw, scope });
      if (answer.type === "described") {
        const { config, permissions, traits } = answer;
        return { ok: true, config, permissions, ...traits && { traits } };
      }
      if (answer.type === "invalid") return { ok: false, issues: answer.issues };
      throw new Error(`unexpected response to describe: ${answer.type}`);
    } catch (error) {
      return { ok: false, issues: [this.#failed(module, error)] };
    }
  }

  /** Validates a section of a cluster's or a service's file; a plugin that fails at it returns an issue of its own. */
  async describeSection(module: string, of: SectionOf, raw: unknown): Promise<SchemaResult<unknown>> {
    try {
      const answer = await this.#ask(module, { type: "section", of, raw });
      if (answer.type === "valid") return { value: answer.config };
      if (answer.type === "invalid") return { issues: answer.issues };
      throw new Error(`unexpected response to section: ${answer.type}`);
    } catch (error) {
      return { issues: [this.#failed(module, error)] };
    }
  }

  #failed(module: string, error: unknown): SchemaIssue {
    this.#hasFailed = true;
    const reason = error instanceof Error ? error.message : String(error);
    const which = module.startsWith("data:") ? "" : ` ${name(module)}`;
    return { message: `Cannot use the plugin${which}: ${reason}`, path: [] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const hosts = [...this.#hosts];
    this.#hosts.clear();
    await Promise.all(hosts.map(async ([module, host]) => {
      await host.stop({ graceMs: STOP_GRACE_MS });
      if (!host.fellSilent || !module.startsWith("data:")) return;
      this.#hangs?.note(module, host.dead ?? "no response");
      this.#hangs?.ended();
    }));
  }

  async #ask(module: string, request: Request): Promise<Answer> {
    const signal = this.#signal;
    signal?.throwIfAborted();
    const isForeign = module.startsWith("data:");
    const refusal = isForeign ? this.#hangs?.refusal(module) : undefined;
    if (refusal !== undefined) throw new Error(refusal.reason);
    await ownRoom.prepare({ isForeign, isDiscovery: false });
    signal?.throwIfAborted();
    const host = this.#host(module);
    try {
      return await this.#askHost(host, request);
    } catch (error) {
      if (isForeign && (error instanceof WorkerDeadlineError || host.fellSilent)) {
        this.#hangs?.note(module, error instanceof Error ? error.message : String(error));
        // A hung worker would not answer other requests either.
        this.#hosts.delete(module);
        await host.stop({ graceMs: 0 });
        this.#hangs?.ended();
      }
      throw error;
    }
  }

  async #askHost(host: PluginHost, request: Request): Promise<Answer> {
    const signal = this.#signal;
    await within(host.loaded(), LOAD_DEADLINE_MS, {
      clock: this.#clock,
      signal,
      late: () => new WorkerDeadlineError(`not loaded within ${formatDuration(LOAD_DEADLINE_MS)}`),
    });
    return await host.call(request, { deadlineMs: DESCRIBE_DEADLINE_MS, ...signal && { signal } });
  }

  #host(module: string): PluginHost {
    const known = this.#hosts.get(module);
    if (known !== undefined && known.dead === undefined) return known;
    const host = new PluginHost({ name: `describe ${name(module)}`, module, permissions: "none", clock: this.#clock });
    this.#hosts.set(module, host);
    return host;
  }
}

function name(module: string): string {
  return module.startsWith("data:") ? "a plugin" : module.replace(/^builtin:/, "");
}
