import { Refusal } from "./refusal.ts";

/**
 * Reads a request or response body as UTF-8. Rejects one longer than `bytesMax` at once, a truncated
 * one, and one that is not UTF-8.
 */
export async function readBody(
  request: { readonly headers: Pick<Headers, "get">; readonly body: Request["body"] },
  bytesMax: number,
): Promise<string | Refusal> {
  const tooLarge = new Refusal("Content Too Large", `Cannot accept the body: at most ${bytesMax} bytes`);
  const said = Number(request.headers.get("content-length") ?? 0);
  if (said > bytesMax) return tooLarge;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.length;
      if (length > bytesMax) return tooLarge;
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    const reason = error instanceof TypeError ? "not UTF-8" : "truncated";
    return new Refusal("Bad Request", `Cannot read the body: ${reason}`);
  }
}
