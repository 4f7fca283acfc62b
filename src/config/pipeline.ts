import type { Clock } from "../kernel/clock.ts";
import type { Finding } from "../kernel/findings.ts";
import type { Addition } from "../model/addition.ts";
import type { Logging } from "../logging/plan.ts";
import type { AcceptOptions, Verdict } from "./accept.ts";
import type { Desired } from "./desired.ts";
import { compareDiagnostics, type Diagnostic } from "./diagnostics.ts";
import { type LastGood, loadDirectory, type NotLoaded, type Role } from "./load.ts";
import { sameValue } from "./same_value.ts";
import { readSecrets, readTemplates, sameSecrets, secretPath } from "./secret_files.ts";
import type { FileTexts, SecretTexts } from "./secret_keys.ts";

export interface TakeOptions {
  /** What the process does. */
  readonly role: Role;
  /** Ends the taking. */
  readonly signal: AbortSignal;
  /** The time; the machine's own unless told. */
  readonly clock?: Clock;
  /** The checks that ship, by name. */
  readonly checks: readonly string[];
  /** The balancers that ship, by name. */
  readonly balancers: readonly string[];
  /** Files that are read in the place of those of the directory, by their path in it. */
  readonly candidates?: ReadonlyMap<string, string> | undefined;
  /** What was added to clusters over the admin interface. */
  readonly additions?: readonly Addition[] | undefined;
  /** Called with `logging.yaml` before anything else is judged: findings are logged where the file wants it. */
  readonly onLogging?: ((logging: Logging) => void) | undefined;
  /** Loads the plugins of `plugins.yaml`; the catalog is the very same object as long as nothing has changed. */
  readonly loadPlugins: (desired: Desired) => Promise<{
    readonly catalog: AcceptOptions["catalog"];
    readonly findings: readonly Finding[];
  }>;
  /** Reads how this host resolves names. */
  readonly readNameService?: () => Promise<AcceptOptions["nameService"]>;
  /** Has the plugins judge: `accept`, with what asks them. */
  readonly judge: (
    desired: Desired,
    given: Pick<AcceptOptions, "catalog" | "secrets" | "templates" | "nameService" | "lastGood">,
  ) => Promise<Verdict>;
}

/** A config directory as it was taken: the memory that the next one is taken with. */
export interface TakenConfig extends LastGood {
  /** Told apart from {@linkcode NotLoaded}. */
  readonly ok: true;
  /** All that is wrong with it now, sorted by file and place. */
  readonly diagnostics: readonly Diagnostic[];
  /** Whether anything that it depends on differs from the last time. */
  readonly isChanged: boolean;
  /** The files with secrets that the config names, to be watched. */
  readonly secretFiles: readonly string[];
  /** The templates that the config names, to be watched. */
  readonly templateFiles: readonly string[];
  /** What the plugins said, and what they were given. */
  readonly judged: Verdict & Pick<AcceptOptions, "catalog" | "nameService"> & {
    readonly secrets: SecretTexts;
    readonly templates: FileTexts;
  };
}

/**
 * Takes a config directory: its files are read, joined with what was last
 * accepted where they are bad, and judged by the plugins, if anything has
 * changed. The answer is the memory for the next time, the only one.
 */
export async function takeDirectory(
  dir: string,
  options: TakeOptions,
  last?: TakenConfig,
): Promise<TakenConfig | NotLoaded> {
  const { onLogging, loadPlugins, judge } = options;
  const loaded = await loadDirectory(dir, { ...options, lastGood: last });
  if (!loaded.ok) return loaded;
  const { desired } = loaded;
  onLogging?.(desired.logging);
  const { catalog, findings } = await loadPlugins(desired);
  const secrets = await readSecrets(desired, dir);
  const templates = await readTemplates(desired, dir);
  const nameService = await options.readNameService?.();
  const isChanged = last === undefined || last.judged.isUndecided || last.judged.catalog !== catalog ||
    !sameValue(desired, last.loaded.desired) || !sameSecrets(secrets, last.judged.secrets) ||
    !sameSecrets(templates, last.judged.templates) ||
    !sameValue(nameService, last.judged.nameService);
  const given = { catalog, secrets, templates, nameService };
  const judged = isChanged ? { ...await judge(desired, { ...given, lastGood: last }), ...given } : last.judged;
  const plugins = desired.sources.get("plugins");
  const found = findings.flatMap((finding) => plugins?.diagnose(finding) ?? []);
  return {
    ok: true,
    loaded,
    accepted: judged.accepted,
    sources: judged.sources,
    diagnostics: [...loaded.diagnostics, ...found, ...judged.diagnostics].toSorted(compareDiagnostics),
    isChanged,
    secretFiles: [...secrets.keys()].map((file) => secretPath(file, dir)),
    templateFiles: [...templates.keys()].map((file) => secretPath(file, dir)),
    judged,
  };
}
