import { Refusal } from "./refusal.ts";

/**
 * Reads the body of a request, or of an answer, as text; refuses one that is longer than
 * `bytesMax` as soon as that is known, one that ends early, and what is not UTF-8.
 */
export async function readBody(
  request: { readonly headers: Pick<Headers, "get">; readonly body: Request["body"] },
  bytesMax: number,
): Promise<string | Refusal> {
  const tooLarge = new Refusal("Content Too Large", `Cannot take the body as it must be at most ${bytesMax} bytes`);
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
    const reason = error instanceof TypeError ? "it must be UTF-8" : "it ended early";
    return new Refusal("Bad Request", `Cannot read the body: ${reason}`);
  }
}
