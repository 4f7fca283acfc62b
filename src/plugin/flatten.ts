import type { ModuleImport } from "./graph.ts";
import { loadOrder, type ParsedGraph, resolveImport } from "./graph.ts";

/**
 * Bundles a plugin's modules into one self-contained `data:` module, which loads without any
 * permission. A single module is used unchanged. Of several, each becomes a `blob:` module when it is
 * loaded, after those it imports: they stay separate modules, every text is there once, and all
 * positions are those of the source. `label` names the plugin in errors about missing exports. Pure;
 * throws a `PluginFault` for cyclic imports.
 */
export function flatten(graph: ParsedGraph, { label }: { readonly label: string }): string {
  const order = loadOrder(graph);
  const named = (path: string, code: string) => `${code}\n//# sourceURL=plugin:${label}/${path}\n`;
  const [only, ...more] = order;
  if (only !== undefined && more.length === 0) return dataUrl(named(only, graph.modules.get(only)?.code ?? ""));
  const chunks = order.map((path) => {
    const { code, imports } = graph.modules.get(path) ?? { code: "", imports: [] };
    return cut(named(path, code), imports, ({ specifier }) => order.indexOf(resolveImport(path, specifier)));
  });
  return dataUrl(`const urls = [];
for (const chunks of ${JSON.stringify(chunks)}) {
  const text = chunks.map((chunk) => typeof chunk === "number" ? JSON.stringify(urls[chunk]) : chunk).join("");
  urls.push(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
}
export default (await import(urls.at(-1))).default;
`);
}

/** Splits a module's code at its imports, and replaces these by the numbers of the imported modules. */
function cut(
  code: string,
  imports: readonly ModuleImport[],
  numberOf: (each: ModuleImport) => number,
): readonly (string | number)[] {
  const chunks: (string | number)[] = [];
  let at = 0;
  for (const each of imports.toSorted((a, b) => a.start - b.start)) {
    chunks.push(code.slice(at, each.start), numberOf(each));
    at = each.end;
  }
  return [...chunks, code.slice(at)];
}

function dataUrl(code: string): string {
  return `data:text/javascript;charset=utf-8,${encodeURIComponent(code)}`;
}
