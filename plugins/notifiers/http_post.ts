import { quote } from "../../src/kernel/quote.ts";
import { HttpClient } from "../../src/http/client.ts";
import { formatEndpoint } from "../../src/model/endpoint.ts";
import type { PostUrl } from "./post_url.ts";

/** An answer of more is cut off. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** So much of an answer is quoted. */
const QUOTED_MAX = 200;

/** Opens what posts to a URL; `ca` names the file with the authority of the server's certificate (PEM). */
export async function clientFor({ isSecure }: PostUrl, ca: string | undefined): Promise<HttpClient> {
  return new HttpClient(isSecure ? { tls: { ca: ca && await Deno.readTextFile(ca) } } : {});
}

/**
 * Posts a body. Throws unless it is accepted with a status from 200 to 299; the error names the status as
 * `got status 400`, by which the host knows a final one.
 */
export async function post(
  client: HttpClient,
  url: PostUrl,
  { path = url.path, headers, body, signal }: {
    readonly path?: string | undefined;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { status, statusText, text } = await client.ask(url, {
    method: "POST",
    path: path.startsWith("/") ? path : `/${path}`,
    body,
    headers: { "user-agent": "lighthouse/2", ...headers },
    bytesMax: ANSWER_BYTES_MAX,
    signal,
  });
  if (status >= 200 && status <= 299) return;
  const said = text.trim() === "" ? "" : `: ${quote(text.trim().slice(0, QUOTED_MAX))}`;
  throw new Error(
    `Cannot deliver to ${formatEndpoint(url)}: got status ${status} ${statusText}${said}, expected 200 to 299`,
  );
}
