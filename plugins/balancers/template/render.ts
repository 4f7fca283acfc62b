/**
 * Renders templates. Runs in a worker without any permission.
 *
 * @module
 */
import { Liquid, type Template } from "liquidjs";
import type { Rendered, RenderedFile, RenderFault, Wanted } from "../../../mod.ts";
import type { TemplateConfig, TemplateFile } from "./config.ts";
import { dataOf, type TemplateData } from "./data.ts";
import { FILTERS } from "./filters.ts";
import { KeyTree, MissingKeys } from "./key_tree.ts";

/** The size limit of a rendered file. */
const OUTPUT_BYTES_MAX = 10_000_000;
/** How long one template may take. */
const RENDER_MS_MAX = 10_000;
/** Elements and characters that one template may allocate. */
const MEMORY_MAX = 20_000_000;

const engine = new Liquid({
  // An unknown name is an error, not an empty string; `if` and `default` may test for it.
  strictVariables: true,
  strictFilters: true,
  lenientIf: true,
  ownPropertyOnly: true,
  // There are no other templates, and no files.
  templates: {},
  relativeReference: false,
  cache: false,
  renderLimit: RENDER_MS_MAX,
  memoryLimit: MEMORY_MAX,
});
for (const [name, filter] of Object.entries(FILTERS)) engine.registerFilter(name, filter);

/** A parsed template, kept as long as its text is the same. */
const parsed = new Map<string, readonly Template[]>();
const PARSED_MAX = 200;

/** Renders the files of a balancer: what cannot be rendered is left out, and reported. */
export function render(wanted: Wanted<TemplateConfig>): Rendered {
  const used = new Set<string>();
  const data = dataOf(wanted, (cluster) => used.add(cluster));
  const files = new Map<string, RenderedFile>();
  const faults: RenderFault[] = [];
  for (const [index, file] of wanted.config.files.entries()) {
    used.clear();
    const result = renderFile(file, data, wanted, used);
    if ("text" in result) files.set(file.path, { text: result.text });
    else {faults.push({
        ...result.fault,
        origin: { path: ["files", index, file.name === "text" ? "text" : "template"] },
      });}
  }
  return { files, notices: [], ...faults.length > 0 && { faults } };
}

type Fault = Pick<RenderFault, "text" | "isOfData" | "isPending">;
type Result = { readonly text: string } | { readonly fault: Fault };

function renderFile(
  file: TemplateFile,
  data: TemplateData,
  { keys: known = [], unheard = [] }: Wanted<TemplateConfig>,
  used: ReadonlySet<string>,
): Result {
  const cannot = (why: string, isOfData: boolean, more: Pick<RenderFault, "isPending"> = {}): Result => ({
    fault: { text: `Cannot render ${file.path}: ${why}`, ...isOfData && { isOfData }, ...more },
  });
  let template: readonly Template[];
  try {
    template = parse(file.template);
  } catch (error) {
    return cannot(describe(error, file.name), false);
  }
  const { keys: place } = file;
  const missing = new MissingKeys();
  const found = place &&
    known.find(({ discovery, prefix }) => discovery === place.discovery && prefix === place.prefix);
  if (place !== undefined && found === undefined) {
    return cannot(`${place.discovery} has not reported the keys under ${place.prefix} yet`, true, {
      isPending: true,
    });
  }
  let text: string;
  try {
    const scope = Object.defineProperties({}, Object.getOwnPropertyDescriptors(data));
    if (place !== undefined) Object.assign(scope, { keys: new KeyTree(found?.entries ?? [], missing) });
    // A file never contains a character that UTF-8 cannot encode, so it would never equal this text.
    text = (engine.renderSync([...template], scope) as string).toWellFormed();
  } catch (error) {
    return cannot(describe(error, file.name), !isMistake(error, data, place !== undefined));
  }
  const silent = unheard.filter((name) => used.has(name));
  if (silent.length > 0) {
    return cannot(`no registry has reported cluster ${silent.join(" or ")} yet`, true, { isPending: true });
  }
  if (missing.names.length > 0 && place !== undefined) {
    const prefix = place.prefix.replace(/\/+$/, "");
    const names = missing.names.map((name) => `${prefix}${name}`).join(", ");
    return cannot(`${place.discovery} has no ${missing.names.length === 1 ? "key" : "keys"} ${names}`, true);
  }
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > OUTPUT_BYTES_MAX) return cannot(`output has ${bytes} bytes, expected at most ${OUTPUT_BYTES_MAX}`, true);
  return { text };
}

/** Whether a template refers to something that no data could have: an unknown variable or cluster. */
function isMistake(error: unknown, { cluster }: TemplateData, hasKeys: boolean): boolean {
  const { message } = error instanceof Error ? error : { message: "" };
  const [, root, member] = /undefined variable: ([^.,[ ]+)(?:\.([^.,[ ]+))?/.exec(message) ?? [];
  if (root === undefined) return false;
  if (root === "cluster") return member !== undefined && !Object.hasOwn(cluster, member);
  return !["clusters", "host", ...hasKeys ? ["keys"] : []].includes(root);
}

function parse(text: string): readonly Template[] {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const template = engine.parse(text);
  if (parsed.size >= PARSED_MAX) parsed.clear();
  parsed.set(text, template);
  return template;
}

/** Formats a template's fault with its place: `templates/app.liquid:3:5: undefined variable: x`. */
function describe(error: unknown, name: string): string {
  if (!(error instanceof Error)) return String(error);
  const { token, originalError } = error as {
    readonly token?: { readonly getPosition?: () => readonly number[] };
    readonly originalError?: { readonly message?: string };
  };
  const [line, column] = token?.getPosition?.() ?? [];
  const why = originalError?.message ?? error.message.replace(/, line:[0-9]+, col:[0-9]+$/, "");
  return line === undefined ? why : `${name}:${line}:${column}: ${why}`;
}
