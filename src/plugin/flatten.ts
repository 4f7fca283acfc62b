import type { ModuleImport } from "./graph.ts";
import { loadOrder, type ParsedGraph, resolveImport } from "./graph.ts";

/**
 * Makes one self-contained `data:` module of a plugin's modules, which loads
 * without any permission. One module stands as it is. Of several, each becomes
 * a `blob:` module of its own when it is loaded, those it imports before it:
 * they stay modules with all that this means, every text is there once, and
 * every place in it is where its author has it. `label` is what an import in
 * vain calls the plugin. Pure; throws a `PluginFault` for modules in a circle.
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

/** Cuts a module's code at its imports, and puts the number of what is imported in their places. */
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
