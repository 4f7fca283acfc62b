import { ImportError } from "./read_input.ts";

/**
 * Writes a new config directory. It must be absent or empty: what somebody has
 * written is never changed.
 *
 * @throws {ImportError} if it has files, or cannot be written
 */
export async function writeDirectory(dir: string, files: ReadonlyMap<string, string>): Promise<void> {
  try {
    await Deno.mkdir(dir, { recursive: true });
    for await (const { name } of Deno.readDir(dir)) {
      throw new ImportError(`Cannot write ${dir}: not empty (${name}); name a directory that is empty or absent`);
    }
    for (const [path, text] of files) {
      const file = `${dir}/${path}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(file, text, { createNew: true });
    }
  } catch (error) {
    if (error instanceof ImportError) throw error;
    throw new ImportError(`Cannot write ${dir}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
