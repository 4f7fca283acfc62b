import type { PluginKind } from "../plugin/source.ts";
import FILES from "./skeleton.json" with { type: "json" };

/** The placeholder name in the skeletons. */
const placeholder = (kind: PluginKind) => `my_${kind}`;

/**
 * The files of a new working plugin, by path: the plugin, tests, a README, and the types of the
 * contract, so that nothing has to be fetched. Pure.
 */
export function skeletonOf(kind: PluginKind, name: string): ReadonlyMap<string, string> {
  const files = Object.entries(FILES).flatMap(([path, text]): [string, string][] => {
    if (path === "lighthouse.ts") return [[path, text]];
    return path.startsWith(`${kind}/`) ? [[path.slice(kind.length + 1), text.replaceAll(placeholder(kind), name)]] : [];
  });
  return new Map(files);
}
