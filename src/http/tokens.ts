import { createHash } from "node:crypto";
import { parse } from "yaml";
import type { HouseSchema } from "../kernel/schema.ts";
import { matching, optional, word } from "../kernel/schema.ts";
import { utf8 } from "../kernel/utf8.ts";

/** The keys that every entry of a file of tokens has; the schema of a server adds what a token may do. */
export const TOKEN_KEYS = {
  name: word(),
  token: optional(matching(/^[\x21-\x7e]{16,}$/, "at least 16 printable characters without spaces")),
  sha256: optional(matching(/^[0-9a-f]{64}$/, "64 lowercase hexadecimal digits")),
} as const;

/** One entry of a file of tokens: the token, or its hash. */
export interface TokenEntry {
  readonly name: string;
  readonly token?: string | undefined;
  readonly sha256?: string | undefined;
}

/** Bearer tokens, and what each may do. They are known by their hashes alone. */
export class BearerTokens<Bearer> {
  readonly #bearers: ReadonlyMap<string, Bearer>;

  private constructor(bearers: ReadonlyMap<string, Bearer>) {
    this.#bearers = bearers;
  }

  /**
   * Reads the text of a file of tokens (YAML). `bearerOf` makes of an entry what a request is allowed by; it may throw
   * an error that names the entry. Throws an error that says what is wrong, and shows no token.
   */
  static parse<Entry extends TokenEntry, Bearer>(
    text: string,
    file: string,
    { schema, bearerOf }: {
      readonly schema: HouseSchema<readonly Entry[]>;
      readonly bearerOf: (entry: Entry) => Bearer;
    },
  ): BearerTokens<Bearer> {
    let raw: unknown;
    try {
      raw = parse(text);
    } catch {
      // The parser quotes the line, which may contain a token.
      throw new Error(`Cannot read the tokens in ${file}: invalid YAML`);
    }
    const result = schema["~standard"].validate(raw);
    if ("issues" in result) {
      // Without the values: a token may be under the wrong key.
      const faults = result.issues.map(({ message }) => message.replace(/; current value is [^]*$/, ""));
      throw new Error(`Cannot read the tokens in ${file}: ${faults.join("; ")}`);
    }
    const bearers = new Map<string, Bearer>();
    for (const entry of result.value) {
      const { name, token, sha256 } = entry;
      if ((token === undefined) === (sha256 === undefined)) {
        throw new Error(`Cannot read token ${name} in ${file}: must have either token or sha256`);
      }
      const bearer = bearerOf(entry);
      const hash = sha256 ?? hashOf(token ?? "");
      if (bearers.has(hash)) {
        throw new Error(`Cannot use token ${name} in ${file}: another entry has the same token`);
      }
      bearers.set(hash, bearer);
    }
    return new BearerTokens(bearers);
  }

  /**
   * Authenticates an `Authorization` header. Hashes are compared, so that timing reveals nothing of
   * the token. A browser sends the token as the password of any user name.
   */
  identify(authorization: string | null): Bearer | undefined {
    const [, scheme = "", sent = ""] = /^(Bearer|Basic) +(\S+) *$/i.exec(authorization ?? "") ?? [];
    const token = scheme.toLowerCase() === "basic" ? passwordOf(sent) : sent;
    return token === "" ? undefined : this.#bearers.get(hashOf(token));
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(utf8(token)).digest("hex");
}

/** The password in `Basic` credentials; empty if there is none. */
function passwordOf(credentials: string): string {
  try {
    const text = atob(credentials);
    return text.slice(text.indexOf(":") + 1);
  } catch {
    return "";
  }
}
