import { BUILTINS, type PluginModule } from "../../workers/builtins.ts";
import type { SchemaIssue } from "../plugin/contract.ts";
import type { Describe, DescribeSection } from "../plugin/instance.ts";
import { describeConfig, describeSection } from "../protocol/describe.ts";
import type { Describer } from "../supervisor/describer.ts";

/**
 * Has plugins describe instances. One that ships does so here: what it says of
 * a config is part of this program, and a start need not wait for a thread. Any
 * other does so in a worker that has no permission at all.
 */
export function describeWith(describer: Describer): Describe {
  return async (module, raw, scope) => {
    const load = builtin(module);
    if (load === undefined) return await describer.describe(module, raw, scope);
    try {
      return await describeConfig((await load()).default, raw, scope);
    } catch (error) {
      return { ok: false, issues: [ownFault(module, error)] };
    }
  };
}

/** Has plugins validate their sections of clusters and services, in the places of {@linkcode describeWith}. */
export function describeSectionWith(describer: Describer): DescribeSection {
  return async (module, of, raw) => {
    const load = builtin(module);
    if (load === undefined) return await describer.describeSection(module, of, raw);
    try {
      return await describeSection((await load()).default, of, raw);
    } catch (error) {
      return { issues: [ownFault(module, error)] };
    }
  };
}

function builtin(module: string): (() => Promise<PluginModule>) | undefined {
  return BUILTINS.get(module.replace(/^builtin:/, ""));
}

/** A fault of ours that a file brought to light harms that file alone. */
function ownFault(module: string, error: unknown): SchemaIssue {
  const reason = error instanceof Error ? error.message : String(error);
  return { message: `Cannot use the plugin ${module}: ${reason}`, path: [] };
}
