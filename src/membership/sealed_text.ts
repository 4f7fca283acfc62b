/**
 * Text that names its format and has a checksum, so that a truncated, edited or future file is recognized: a
 * line with format and checksum, and one with the body.
 *
 * @module
 */

/** The result of {@linkcode unseal}. */
export type Unsealed =
  | { readonly ok: true; readonly format: string; readonly body: string }
  | { readonly ok: false; readonly reason: string };

/** Makes a file of a body of one line. */
export async function seal(format: string, body: string): Promise<string> {
  return `${format} ${await sha256(body)}\n${body}\n`;
}

/** Reads the body back; `formats` are those that are understood, the newest first. */
export async function unseal(text: string, formats: readonly string[]): Promise<Unsealed> {
  const [head = "", body = "", ...rest] = text.split("\n");
  const [format = "", checksum] = head.split(" ");
  if (!formats.includes(format)) return { ok: false, reason: `the file is not in format ${formats[0]}` };
  if (rest.length !== 1 || rest[0] !== "" || await sha256(body) !== checksum) {
    return { ok: false, reason: "checksum mismatch; the file was truncated or edited" };
  }
  return { ok: true, format, body };
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
