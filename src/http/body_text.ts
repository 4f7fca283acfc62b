import type { HttpRequest } from "./request.ts";

/** What {@linkcode readBodyText} answers. */
export type BodyText =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly status: 400 | 413; readonly reason: string };

/**
 * Reads a request or response body as UTF-8. Rejects one longer than `bytesMax` at once, a truncated
 * one, and one that is not UTF-8.
 */
export async function readBodyText(
  { headers, body }: Pick<HttpRequest, "headers"> & { readonly body: ReadableStream<Uint8Array> | null },
  bytesMax: number,
): Promise<BodyText> {
  const tooLong = {
    ok: false,
    status: 413,
    reason: `Cannot accept the body: larger than ${bytesMax} bytes`,
  } as const;
  if (Number(headers.get("content-length") ?? 0) > bytesMax) return tooLong;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  let length = 0;
  try {
    for await (const chunk of body ?? []) {
      length += chunk.length;
      if (length > bytesMax) return tooLong;
      text += decoder.decode(chunk, { stream: true });
    }
    return { ok: true, text: text + decoder.decode() };
  } catch (error) {
    const why = error instanceof TypeError ? "not UTF-8" : "truncated";
    return { ok: false, status: 400, reason: `Cannot read the request body: ${why}` };
  }
}
