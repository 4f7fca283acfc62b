import { converted, matching, optional } from "../../src/kernel/schema.ts";
import { isHostName, isIpv4, isIpv6 } from "../../src/model/endpoint.ts";

/** Where something is posted to. */
export interface PostUrl {
  readonly isSecure: boolean;
  readonly host: string;
  readonly port: number;
  /** With the query; empty if the URL ends with the host. */
  readonly path: string;
}

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
