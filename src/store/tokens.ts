import { houseSchema, keys, list, matching, optional } from "../kernel/schema.ts";
import { BearerTokens, TOKEN_KEYS } from "../http/tokens.ts";
import { parsePath } from "./path.ts";
import { type Identity, identityOf } from "./rights.ts";

const PREFIX = matching(/^\//, "a path that begins with /");
const FILE = houseSchema(list(
  keys({
    ...TOKEN_KEYS,
    read: optional(list(PREFIX), []),
    write: optional(list(PREFIX), []),
  }),
  "a list of tokens",
));

/** The bearer tokens of a store, known only by their hashes. */
export type Tokens = BearerTokens<Identity>;

/** Reads a tokens file (YAML). Throws an error that says what is wrong, and shows no token. */
export function parseTokens(text: string, file: string): Tokens {
  return BearerTokens.parse(text, file, {
    schema: FILE,
    bearerOf({ name, read, write }) {
      const broken = [...read, ...write].find((prefix) => parsePath(prefix) === undefined);
      if (broken !== undefined) {
        throw new Error(`Invalid path ${broken} of token ${name} in ${file}: invalid percent-encoding (%XX)`);
      }
      return identityOf({ name, read, write });
    },
  });
}
