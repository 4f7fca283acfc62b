import { type Diagnostic, formatDiagnostic } from "../config/diagnostics.ts";
import { balancersWithSection } from "../config/cluster_schema.ts";
import type { Addition } from "../model/addition.ts";
import { FOLDERS_OF } from "../config/load.ts";
import { takeDirectory, type TakenConfig } from "../config/pipeline.ts";
import { type DirectoryWatch, watchDirectory } from "../config/watch.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { Logging } from "../logging/plan.ts";
import type { PluginCatalog } from "../plugin/source.ts";
import { Describer } from "../supervisor/describer.ts";
import type { Hangs } from "../supervisor/hangs.ts";
import { accept } from "../config/accept.ts";
import { type ConfigSource, type Reading, type Taken, UNREAD } from "../config/reading.ts";
import type { BalancerPlugins } from "./balancer_plugins.ts";
import { describeSectionWith, describeWith } from "./describe.ts";
import { readNameService, RESOLV_CONF } from "./name_service.ts";
import type { PluginLoader } from "./plugin_loader.ts";

export interface IntakeOptions {
  /** The config directory. */
  readonly dir: string;
  readonly role: "writer" | "reporter" | "run";
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter?: Meter | undefined;
  /** The plugins that can be had. */
  readonly catalog: Pick<PluginCatalog, "find" | "names">;
  /** Makes what loads the plugins of `plugins.yaml`; without it there are none. */
  readonly pluginLoader?: ((onLate: () => void, hangs?: Hangs) => PluginLoader) | undefined;
  /** What hung before is not run again. */
  readonly hangs?: Hangs | undefined;
  /** Opens the plugins of balancers. */
  readonly balancerPlugins: Pick<BalancerPlugins, "open">;
  /** What was added to clusters over the admin interface, as of now. */
  readonly additions?: (() => readonly Addition[]) | undefined;
  /** Called with what `logging.yaml` asks for, each time the config is read. */
  readonly onLogging?: ((logging: Logging) => void) | undefined;
}

/** Logs a finding about the config. */
export function logDiagnostic(log: Logger, diagnostic: Diagnostic): void {
  const { severity, file, line, column } = diagnostic;
  const text = formatDiagnostic(diagnostic);
  const at = { file, ...line !== undefined && { line, column: column ?? 1 } };
  switch (severity) {
    case "error":
      return log.error(text, { event: "config.invalid", ...at });
    case "warning":
      return log.warn(text, { event: "config.suspect", ...at });
    case "notice":
      return log.info(text, { event: "config.notice", ...at });
  }
}

/** How long the rest of the config waits for plugins that are not loaded yet. */
const PLUGINS_WAIT_MS = 3_000;

/** Takes a config directory as it changes: loaded, judged by the plugins, and what is wrong with it told. */
export class Intake implements ConfigSource {
  readonly #options: IntakeOptions;
  #watch: DirectoryWatch | undefined;
  #plugins: PluginLoader | undefined;
  #told: ReadonlySet<string> = new Set();
  #broken: ReadonlySet<string> = new Set();
  #reading: Reading = UNREAD;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** See {@linkcode ConfigSource.reading}. */
  get reading(): Reading {
    return { ...this.#reading, hung: this.#plugins?.hung ?? [] };
  }

  /** See {@linkcode ConfigSource.lookAgain}. */
  lookAgain(): void {
    this.#plugins?.retry();
    this.#watch?.poke();
  }

  /** See {@linkcode ConfigSource.configs}. */
  async *configs(signal: AbortSignal): AsyncGenerator<Taken> {
    const { dir, role, clock, log, catalog, balancerPlugins, onLogging, pluginLoader, hangs } = this.#options;
    const { meter = UNMETERED } = this.#options;
    await using watch = watchDirectory(dir, { signal, folders: FOLDERS_OF[role], clock, log });
    this.#watch = watch;
    await using plugins = pluginLoader?.(() => watch.poke(), hangs);
    this.#plugins = plugins;
    let last: TakenConfig | undefined;
    for await (const _hint of watch) {
      const begunMs = clock.now();
      const taken = await takeDirectory(dir, {
        role,
        signal,
        clock,
        checks: catalog.names("check"),
        balancers: balancersWithSection(catalog.names("balancer")),
        additions: this.#options.additions?.(),
        onLogging,
        loadPlugins: async (desired) =>
          await plugins?.load(desired, { dir, waitMs: PLUGINS_WAIT_MS, signal }) ?? { catalog, findings: [] },
        readNameService,
        judge: async (desired, given) => {
          await using describer = new Describer({ clock, signal, hangs });
          const verdict = await accept(desired, {
            ...given,
            clock,
            openBalancer: (use) => balancerPlugins.open(use),
            describe: describeWith(describer),
            describeSection: describeSectionWith(describer),
          });
          return { ...verdict, isUndecided: verdict.isUndecided || describer.hasFailed };
        },
      }, last);
      if (!taken.ok) return this.#tell(taken.diagnostics);
      // What was not described because the process ends is no finding.
      if (signal.aborted) return;
      last = taken;
      const usesNames = [...taken.accepted.discovery.values()].some(({ instance: { scope } }) =>
        scope.nameServers !== undefined
      );
      watch.follow([...taken.secretFiles, ...taken.templateFiles, ...usesNames ? [RESOLV_CONF] : []]);
      const { accepted, sources, diagnostics, isChanged } = taken;
      const result = taken.loaded.unread !== undefined ? "unreadable" : isChanged ? "changed" : "unchanged";
      meter.count("lighthouse_config_reads_total", { result });
      const readMs = clock.now();
      const takenMs = isChanged ? readMs : this.#reading.takenMs;
      this.#reading = { ...this.#reading, begunMs, readMs, takenMs, unread: taken.loaded.unread, diagnostics };
      this.#tell(diagnostics);
      if (isChanged) yield { accepted, sources };
    }
  }

  /** Logs each finding once, for as long as it stays. */
  #tell(diagnostics: readonly Diagnostic[]): void {
    const { log } = this.#options;
    const texts = diagnostics.map((diagnostic) => ({ diagnostic, text: formatDiagnostic(diagnostic) }));
    for (const { diagnostic, text } of texts) {
      if (!this.#told.has(text)) logDiagnostic(log, diagnostic);
    }
    this.#told = new Set(texts.map(({ text }) => text));
    const broken = new Set(diagnostics.filter(({ severity }) => severity === "error").map(({ file }) => file));
    for (const file of this.#broken.difference(broken)) {
      log.info("Config file valid again", { event: "config.valid", file });
    }
    this.#broken = broken;
  }
}
