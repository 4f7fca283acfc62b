import { createFile, makeDirectory } from "../system/trusted_file.ts";
import { ImportError } from "./read_input.ts";

/**
 * Writes a new config directory. It must be absent or empty: what somebody has
 * written is never changed.
 *
 * @throws {ImportError} if it has files, or cannot be written
 */
export async function writeDirectory(dir: string, files: ReadonlyMap<string, string>): Promise<void> {
  try {
    await makeDirectory(dir);
    for await (const { name } of Deno.readDir(dir)) {
      throw new ImportError(`Cannot write ${dir}: not empty (${name}); choose a directory that is empty or absent`);
    }
    for (const [path, text] of files) {
      const file = `${dir}/${path}`;
      await makeDirectory(file.slice(0, file.lastIndexOf("/")));
      await createFile(file, text);
    }
  } catch (error) {
    if (error instanceof ImportError) throw error;
    throw new ImportError(`Cannot write ${dir}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
