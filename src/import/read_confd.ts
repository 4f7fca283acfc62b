import { readCommandLine } from "./command_line.ts";
import { CONFD_FLAGS, CONFD_LISTS, type ConfdInput } from "./confd.ts";
import { filesBelow, ImportError, readText } from "./read_input.ts";
import type { Document } from "./report.ts";
import { tomlDocument } from "./toml_document.ts";

/** Reads a directory of confd: `confd.toml`, `conf.d` and `templates`; `words` is its command line, if it is known. */
export async function readConfd(dir: string, words: readonly string[]): Promise<ConfdInput> {
  const toml = async (path: string): Promise<Document> => {
    const document = tomlDocument(path, await readText(path));
    if (typeof document === "string") throw new ImportError(document);
    return document;
  };
  const all = await filesBelow(dir);
  const paths = all.filter((path) => /^conf\.d\/.*\.toml$/.test(path));
  if (paths.length === 0) throw new ImportError(`Cannot import ${dir}: no template resources (conf.d/*.toml)`);
  const resources = new Map<string, Document>();
  for (const path of paths) resources.set(path.slice("conf.d/".length, -".toml".length), await toml(`${dir}/${path}`));
  const templates = new Map<string, { readonly file: string; readonly text: string }>();
  for (const path of all.filter((each) => each.startsWith("templates/"))) {
    const file = `${dir}/${path}`;
    templates.set(path.slice("templates/".length), { file, text: await readText(file) });
  }
  return {
    origin: dir,
    resources,
    templates,
    ...all.includes("confd.toml") && { settings: await toml(`${dir}/confd.toml`) },
    ...words.length > 0 && { commandLine: readCommandLine(words, { flags: CONFD_FLAGS, lists: CONFD_LISTS }) },
  };
}
