import { writeAtomically } from "../system/atomic_file.ts";
import { resolveTrusted } from "../system/trusted_file.ts";

/** Files as text. */
export interface Disk {
  /** Reads a file; throws if it cannot be read. */
  read(path: string): Promise<string>;
  /** Writes a file, whole or not at all. */
  write(path: string, text: string): Promise<void>;
}

/** What is kept is nobody else's business. */
const FILE_MODE = 0o600;

/** A file of more bytes is none of ours: a hundred thousand members are some fifteen million. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;

/** The disk of this machine. Who may put a file in the place of one of these would say what a host serves. */
export const OWN_DISK: Disk = {
  read: readFile,
  write: (path, text) => writeAtomically(path, text, { mode: FILE_MODE }),
};

/** Reads a file as text. What is none, a pipe for one, would be read for ever. */
async function readFile(path: string): Promise<string> {
  // Who may put a file in its place would say which members a host serves.
  const real = await resolveTrusted(path);
  const { isFile, size } = await Deno.stat(real);
  if (!isFile) throw new Error("it is no file");
  if (size > FILE_BYTES_MAX) throw new Error(`it has ${size} bytes, which is more than ${FILE_BYTES_MAX}`);
  return await Deno.readTextFile(real);
}
