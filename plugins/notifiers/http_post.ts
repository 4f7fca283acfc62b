import type { Endpoint } from "../../mod.ts";
import { converted, matching, optional } from "../../src/kernel/schema.ts";
import { quote } from "../../src/kernel/quote.ts";
import { HttpClient } from "../../src/http/client.ts";
import { formatEndpoint, isHostName, isIpv4, isIpv6 } from "../../src/model/endpoint.ts";

/** Where something is posted to. */
export interface PostUrl {
  readonly isSecure: boolean;
  readonly host: string;
  readonly port: number;
  /** With the query; empty if the URL ends with the host. */
  readonly path: string;
}

/** An answer of more is cut off. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** So much of an answer is quoted. */
const QUOTED_MAX = 200;

/** Reads `https://host[:port][/path]`; `undefined` for all else: a user's name or a fragment too. */
export function readPostUrl(value: unknown): PostUrl | undefined {
  const [, scheme, name = "", port, path = ""] =
    /^(https?):\/\/([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?((?:[/?][\x21-\x7e]*)?)$/.exec(String(value)) ??
      [];
  if (typeof value !== "string" || scheme === undefined || path.includes("#")) return undefined;
  const host = name.replace(/^\[|\]$/g, "");
  if (!isHostName(host) && !isIpv4(host) && !isIpv6(host)) return undefined;
  const number = port === undefined ? (scheme === "https" ? 443 : 80) : Number(port);
  if (number < 1 || number > 65_535) return undefined;
  return { isSecure: scheme === "https", host, port: number, path };
}

/** The key `url` of a notifier. */
export const urlKey = () => converted(readPostUrl, "a URL such as https://host or http://host:port/path");
/** The key `path` of a notifier, which may be a secret: then it stands in a file. */
export const pathKey = () => optional(matching(/^\/[\x21-\x22\x24-\x7e]*$/, "a path that begins with a slash"));

/** The one address that it takes. */
export function addressOf({ host, port }: PostUrl): Endpoint {
  return formatEndpoint({ host, port });
}

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
  throw new Error(`Cannot deliver to ${addressOf(url)}: got status ${status} ${statusText}${said}, want 200 to 299`);
}
