import type { TempDir } from "./temp_dir.ts";

/** Copies a directory recursively, replacing one path by another. */
export async function copy(
  source: URL,
  dir: TempDir,
  { from, to }: { readonly from: string; readonly to: string },
  below = "",
): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(below, source))) {
    const path = `${below}${name}`;
    if (isDirectory) await copy(source, dir, { from, to }, `${path}/`);
    else await dir.write(path, (await Deno.readTextFile(new URL(path, source))).replaceAll(from, to));
  }
}
