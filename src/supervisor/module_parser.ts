import type { Clock } from "../kernel/clock.ts";
import { PluginFault } from "../plugin/graph.ts";
import type { ParsedModule } from "../plugin/graph.ts";
import { WorkerError } from "../protocol/wire_error.ts";
import { PluginHost } from "./plugin_host.ts";
import { ownRoom } from "./room.ts";
import { PARSER_MODULE } from "./thread.ts";

/** How long the parser may take for one module, including its start. */
const PARSE_DEADLINE_MS = 20_000;

/**
 * Parses the modules of one plugin in a worker without permissions. Use one per plugin: input that
 * crashes the parser makes it unusable.
 */
export class ModuleParser implements AsyncDisposable {
  readonly #clock: Clock;
  #host: PluginHost | undefined;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  /** Strips a module's types and finds its imports; throws a {@linkcode PluginFault} if it is invalid. */
  async parse(path: string, text: string): Promise<ParsedModule> {
    await ownRoom.prepare({ isForeign: false, isDiscovery: false });
    this.#host ??= new PluginHost({
      name: "parse a plugin",
      module: PARSER_MODULE,
      permissions: "none",
      clock: this.#clock,
    });
    try {
      const answer = await this.#host.call({ type: "parse", path, text }, { deadlineMs: PARSE_DEADLINE_MS });
      if (answer.type === "parsed") return answer.parsed;
      throw new Error(`unexpected response from the parser: ${answer.type}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof WorkerError && error.kind === "SyntaxError") throw new PluginFault(`${path}:${reason}`);
      throw new PluginFault(
        `Cannot parse ${path}: nested too deeply, or too large for the parser (${reason})`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host?.stop({ graceMs: 500 });
  }
}
