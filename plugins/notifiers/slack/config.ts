import { houseSchema, keys, matching, optional, word } from "../../../src/kernel/schema.ts";
import { pathKey, urlKey } from "../post_url.ts";

/** A file of `notifiers/` with the type `slack`. */
export const schema = houseSchema(keys({
  url: urlKey(),
  path: pathKey(),
  channel: optional(word()),
  username: optional(word()),
  icon: optional(matching(/^:[\w+-]+:$/, "an emoji such as :ghost:")),
  ca: optional(matching(/^\/[^\0]+$/, "the absolute path of a PEM file")),
}));
