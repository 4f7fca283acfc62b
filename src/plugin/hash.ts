import type { ModuleGraph } from "./graph.ts";

/**
 * Returns the hash of a plugin: 64 hexadecimal digits of the SHA-256 of the output
 * of `sha256sum` for its modules, run in the folder of its entry:
 * the entry first, then the others in the order of their paths' bytes.
 *
 * ```sh
 * sha256sum mod.ts lib/codec.ts | sha256sum
 * ```
 *
 * So it does not depend on the origin of the modules or the order of
 * reading, and every byte counts.
 */
export async function hashGraph({ entry, modules }: ModuleGraph): Promise<string> {
  const others = [...modules.keys()].filter((path) => path !== entry).toSorted();
  const lines = await Promise.all(
    [entry, ...others].map(async (path) => `${await sha256(modules.get(path) ?? "")}  ${path}\n`),
  );
  return await sha256(lines.join(""));
}

/** The SHA-256 of a string in UTF-8. */
async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
