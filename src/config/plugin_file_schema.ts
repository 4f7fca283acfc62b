/**
 * What a file of `discovery/` or `balancers/` may say to Lighthouse itself: the
 * plugin that it is for, which judges the rest. Pure.
 *
 * @module
 */
import { houseSchema, keys, optional } from "../kernel/schema.ts";
import { isRecord } from "../model/node.ts";
import type { PluginFile } from "./desired.ts";
import { type Checked, validateKnown } from "../kernel/known_keys.ts";
import { deepFreeze, name, pick } from "./schema_words.ts";

/** Reads a file of `discovery/` or `balancers/`; all but `type` is left for its plugin to judge. */
export function readPluginFile(raw: unknown, { fileName }: { readonly fileName: string }): Checked<PluginFile> {
  const file = raw ?? {};
  const schema = houseSchema(keys({ type: optional(name()) }));
  const { value, findings } = validateKnown(
    isRecord(file) ? pick(file, (key) => key === "type") : file,
    schema["~standard"].validate,
  );
  if (value === undefined || !isRecord(file)) return { value: undefined, findings };
  const config = pick(file, (key) => key !== "type");
  return { value: deepFreeze({ name: fileName, type: value.type ?? fileName, config }), findings };
}
