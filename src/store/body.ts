import { readBodyText } from "../http/body_text.ts";
import { Refusal } from "./refusal.ts";

/** Reads a request or response body of at most `bytesMax` bytes as UTF-8. */
export async function readBody(
  request: { readonly headers: Pick<Headers, "get">; readonly body: Request["body"] },
  bytesMax: number,
): Promise<string | Refusal> {
  const read = await readBodyText(request, bytesMax);
  if (read.ok) return read.text;
  return new Refusal(read.status === 413 ? "Content Too Large" : "Bad Request", read.reason);
}
