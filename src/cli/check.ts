import { counted } from "../kernel/counted.ts";
import type { Identity } from "../app/host_facts.ts";
import { type Validated, validateDirectory } from "../app/validate.ts";
import type { HostSettings } from "../config/desired.ts";
import { type Diagnostic, formatDiagnostic } from "../config/diagnostics.ts";
import type { Finding, Severity } from "../kernel/findings.ts";
import type { Accepted } from "../config/accepted.ts";

export interface CheckOptions {
  readonly dir: string;
  /** Whether warnings fail too; an unavailable balancer program counts as one. */
  readonly strict: boolean;
  /** Whether host names that do not resolve here are ignored. */
  readonly ignoresNames: boolean;
  /** Replacements for files of the directory, by their path in it. */
  readonly candidates: ReadonlyMap<string, string>;
  /** Finds log files that cannot be opened on this host. */
  readonly findUnusableFiles: (logging: Accepted["logging"]) => Promise<readonly Finding[]>;
  /** Whether each finding is printed as one JSON object. */
  readonly json: boolean;
  /** Determines the identity of this host, given the settings of `host.yaml`. */
  readonly identify: (said: HostSettings) => Promise<Identity>;
  /** Whether the text is coloured. */
  readonly color: boolean;
  /** Receives each line of the findings, without a newline. */
  readonly print: (line: string) => void;
  /** Receives each line on why there are no findings. */
  readonly complain: (line: string) => void;
}

/** Validates a config directory and prints every finding; returns the exit code. */
export async function check(
  { dir, strict, ignoresNames, candidates, findUnusableFiles, json, identify, color, print, complain }: CheckOptions,
): Promise<0 | 1> {
  for (const [name, path] of candidates) {
    const fault = await whyUnreadable(path);
    if (fault === undefined) continue;
    complain(`Cannot check ${path} as ${name}: ${fault}`);
    return 1;
  }
  // Without name resolution, this is not the host that announces the services and writes the files.
  const looksAtPaths = !ignoresNames;
  const validated = await validateDirectory(dir, {
    role: "check",
    strict,
    ignoresNames,
    looksAtPaths,
    candidates,
    findMore: async ({ logging }) =>
      looksAtPaths ? (await findUnusableFiles(logging)).map((finding) => ({ key: "logging", finding })) : [],
  });
  const { accepted } = validated;
  const refused = ignoresNames ? [] : await refusedHost(dir, validated, identify);
  const diagnostics = [...validated.diagnostics, ...refused];
  for (const diagnostic of diagnostics) {
    print(json ? JSON.stringify(diagnostic) : formatDiagnostic(diagnostic, { color }));
  }
  if (accepted === undefined && (await Deno.stat(dir).catch(() => undefined))?.isFile) {
    complain(`To check a file in its directory: lighthouse check DIR --file services/NAME.yaml=${dir}`);
  }
  const count = (severity: Severity) => diagnostics.filter((each) => each.severity === severity).length;
  const failed = count("error") > 0 || (strict && count("warning") > 0);
  if (!json) {
    const severities: readonly Severity[] = ["error", "warning", ...count("notice") > 0 ? ["notice" as const] : []];
    const counts = severities.map((severity) => counted(count(severity), severity));
    print(`${dir}: ${failed ? "not valid" : "valid"}: ${counts.join(", ")}`);
  }
  return failed ? 1 : 0;
}

async function whyUnreadable(path: string): Promise<string | undefined> {
  try {
    return (await Deno.stat(path)).isFile ? undefined : "not a regular file";
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "no such file" : String(error);
  }
}

/** Finds out why the services of a config directory cannot be announced from this host. */
async function refusedHost(
  dir: string,
  { accepted }: Validated,
  identify: CheckOptions["identify"],
): Promise<readonly Diagnostic[]> {
  if (accepted === undefined || accepted.services.size === 0) return [];
  const { refusal } = await identify(accepted.host);
  return refusal === undefined ? [] : [{ severity: "error", file: `${dir}/host.yaml`, message: refusal }];
}
