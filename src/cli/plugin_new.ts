import { skeletonOf } from "../skeleton/skeleton.ts";
import { createFile, makeDirectory } from "../system/trusted_file.ts";
import { EXIT } from "./exit_codes.ts";
import type { PluginArguments } from "./plugin_arguments.ts";
import type { PluginCommandOptions } from "./plugin_options.ts";

/** The names of plugins that the conformance suite accepts. */
const OWN_NAME = /^[a-z][a-z0-9_]*$/;

/** Creates a working plugin with its tests; never overwrites a file. Returns the exit code. */
export async function newPlugin(
  { kind, name, dir = name }: Extract<PluginArguments, { readonly action: "new" }>,
  { fromHere, print, complain }: PluginCommandOptions,
): Promise<number> {
  if (!OWN_NAME.test(name)) {
    complain(
      `Invalid plugin name ${JSON.stringify(name)}: must be lower-case letters, digits and _, starting with a letter`,
    );
    return EXIT.usage;
  }
  const folder = fromHere(dir);
  const files = skeletonOf(kind, name);
  try {
    await makeDirectory(folder);
    for (const path of files.keys()) {
      if (await isThere(`${folder}/${path}`)) {
        complain(`Cannot write ${folder}/${path}: the file exists; set another directory with --dir`);
        return EXIT.failed;
      }
    }
    for (const [path, text] of files) await createFile(`${folder}/${path}`, text);
  } catch (error) {
    complain(`Cannot write the plugin to ${folder}: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT.failed;
  }
  for (const path of files.keys()) print(`${dir}/${path}`);
  print("");
  print(`Created a working ${kind}. Test it: lighthouse plugin test ${dir}/mod.ts`);
  return EXIT.ok;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
