import { houseSchema, keys, mapOf, matching, optional } from "../../../src/kernel/schema.ts";
import { pathKey, urlKey } from "../post_url.ts";

/** A file of `notifiers/` with the type `webhook`. */
export const schema = houseSchema(keys({
  url: urlKey(),
  path: pathKey(),
  token: optional(matching(/^[\x21-\x7e]+$/, "printable characters without spaces")),
  headers: optional(mapOf(matching(/^[\x20-\x7e]*$/, "printable characters")), {}),
  ca: optional(matching(/^\/[^\0]+$/, "the absolute path of a PEM file")),
}));
