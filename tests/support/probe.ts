import type { CheckPlugin, ProbeOutcome, Schema, SchemaIssue } from "../../mod.ts";

/** A log that nobody reads. */
const SILENT = { debug() {}, info() {}, warn() {} };

/** A plugin, reduced to its config. */
interface Configurable<Config> {
  readonly config: Schema<Config>;
}

/** Validates a config as a worker would; throws with all messages if it is rejected. */
export async function configured<Config>(plugin: Configurable<Config>, raw: unknown): Promise<Config> {
  const result = await plugin.config["~standard"].validate(raw);
  if (result.issues !== undefined) throw new Error(result.issues.map(({ message }) => message).join("; "));
  return result.value;
}

/** Returns why a config is rejected. */
export async function issuesOf(plugin: Configurable<unknown>, raw: unknown): Promise<readonly SchemaIssue[]> {
  const result = await plugin.config["~standard"].validate(raw);
  return result.issues ?? [];
}

/** Validates a config and probes once with it. The deadline only ends a test that hangs. */
export async function probe<Config>(
  check: CheckPlugin<Config>,
  raw: unknown,
  target: string,
  signal: AbortSignal = AbortSignal.timeout(60_000),
): Promise<ProbeOutcome> {
  return await check.probe(await configured(check, raw), { target, signal, log: SILENT });
}

/** Probes, and returns the reason of the failure; throws if it passed. */
export async function reasonOf<Config>(check: CheckPlugin<Config>, raw: unknown, target: string): Promise<string> {
  const outcome = await probe(check, raw, target);
  if (outcome.status === "pass") throw new Error(`The probe passed: ${outcome.detail}`);
  return outcome.reason;
}
