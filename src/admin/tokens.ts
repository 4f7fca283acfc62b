import { BearerTokens, TOKEN_KEYS } from "../http/tokens.ts";
import { converted, houseSchema, keys, list } from "../kernel/schema.ts";

/** Who asks, and whether they may change something. */
export interface Bearer {
  readonly name: string;
  readonly mayWrite: boolean;
}

/** The bearer tokens of an admin interface. */
export type AdminTokens = BearerTokens<Bearer>;

const FILE = houseSchema(list(
  keys({
    ...TOKEN_KEYS,
    access: converted((value) => value === "read" || value === "write" ? value : undefined, "read or write"),
  }),
  "a list of tokens",
));

/** Reads the text of a file of tokens (YAML). Throws an error that says what is wrong, and shows no token. */
export function parseAdminTokens(text: string, file: string): AdminTokens {
  const tokens = BearerTokens.parse(text, file, {
    schema: FILE,
    bearerOf: ({ name, access }): Bearer => ({ name, mayWrite: access === "write" }),
  });
  return tokens;
}
