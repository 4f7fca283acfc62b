import { BUILTINS } from "../../workers/builtins.ts";
import type { Describe } from "../plugin/instance.ts";
import type { Describer } from "../supervisor/describer.ts";

/**
 * Has plugins describe instances. One that ships does so here: what it says of
 * a config is part of this program, and a start need not wait for a thread. Any
 * other does so in a worker that has no permission at all.
 */
export function describeWith(describer: Describer): Describe {
  return async (module, raw, scope) => {
    const load = BUILTINS.get(module.replace(/^builtin:/, ""));
    if (load === undefined) return await describer.describe(module, raw, scope);
    try {
      const { default: plugin } = await load();
      const result = await plugin.config["~standard"].validate(raw);
      return result.issues === undefined
        ? { ok: true, config: result.value, permissions: plugin.permissions(result.value, scope) }
        : { ok: false, issues: result.issues };
    } catch (error) {
      // A fault of ours that a file brought to light harms that file alone.
      const reason = error instanceof Error ? error.message : String(error);
      return { ok: false, issues: [{ message: `Cannot use the plugin ${module}: ${reason}`, path: [] }] };
    }
  };
}
