import type { Settings } from "../config/desired.ts";
import { DEFAULT_SETTINGS, readSettings } from "../config/settings_schema.ts";
import { Source } from "../config/source.ts";

/** Reads `lighthouse.yaml` of a config directory for a command; one that cannot be used says nothing. */
export async function settingsOf(dir: string): Promise<Settings> {
  for (const ending of ["yaml", "yml"]) {
    const file = `${dir}/lighthouse.${ending}`;
    const bytes = await Deno.readFile(file).catch(() => undefined);
    if (bytes === undefined) continue;
    return readSettings(new Source(file, bytes).value).value ?? DEFAULT_SETTINGS;
  }
  return DEFAULT_SETTINGS;
}
