import { converted, houseSchema, keys, matching, optional } from "../../../src/kernel/schema.ts";
import { type PostUrl, readPostUrl } from "../post_url.ts";

/** A DSN, taken apart. */
export interface Dsn {
  readonly url: PostUrl;
  /** The public key. */
  readonly key: string;
  readonly project: string;
}

/** Reads `https://KEY@HOST[:PORT][/PATH]/PROJECT`. */
export function readDsn(value: unknown): Dsn | undefined {
  const [, scheme, key, rest = "", project] =
    /^(https?):\/\/([0-9A-Za-z]+)(?::[0-9A-Za-z]*)?@(.+)\/([0-9]+)$/.exec(String(value)) ?? [];
  const url = readPostUrl(`${scheme}://${rest}`);
  return url === undefined || key === undefined || project === undefined ? undefined : { url, key, project };
}

/** A file of `notifiers/` with the type `sentry`. */
export const schema = houseSchema(keys({
  dsn: converted(readDsn, "the DSN of a project: https://KEY@HOST/PROJECT"),
  environment: optional(matching(/^[^\s/]{1,64}$/, "a name without spaces or slashes")),
  ca: optional(matching(/^\/[^\0]+$/, "the absolute path of a PEM file")),
}));
