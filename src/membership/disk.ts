import { writeAtomically } from "../system/atomic_file.ts";
import { resolveTrusted } from "../system/trusted_file.ts";

/** Files as text. */
export interface Disk {
  /** Reads a file; throws if it cannot be read. */
  read(path: string): Promise<string>;
  /** Writes a file, whole or not at all. */
  write(path: string, text: string): Promise<void>;
}

/** Only the own user may read these files. */
const FILE_MODE = 0o600;

/** The size limit of a file: a hundred thousand members are some fifteen million bytes. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;

/** The disk of this machine. A user who could replace one of these files would decide what a host serves. */
export const OWN_DISK: Disk = {
  read: readFile,
  write: (path, text) => writeAtomically(path, text, { mode: FILE_MODE }),
};

/** Reads a file as text. Reading anything else, such as a pipe, might never end. */
async function readFile(path: string): Promise<string> {
  // A user who could replace the file would decide which members a host serves.
  const real = await resolveTrusted(path);
  const { isFile, size } = await Deno.stat(real);
  if (!isFile) throw new Error("not a regular file");
  if (size > FILE_BYTES_MAX) throw new Error(`must be at most ${FILE_BYTES_MAX} bytes; current size is ${size}`);
  return await Deno.readTextFile(real);
}
