import { parse } from "yaml";
import { houseSchema, keys, list, matching, optional, word } from "../kernel/schema.ts";
import { HASHES } from "./hashes.ts";
import { parsePath } from "./path.ts";
import { type Identity, identityOf } from "./rights.ts";
import { utf8 } from "../kernel/utf8.ts";

const PREFIX = matching(/^\//, "a path that begins with /");
const FILE = houseSchema(list(
  keys({
    name: word(),
    token: optional(matching(/^[\x21-\x7e]{16,}$/, "at least 16 printable characters without spaces")),
    sha256: optional(matching(/^[0-9a-f]{64}$/, "64 hexadecimal digits")),
    read: optional(list(PREFIX), []),
    write: optional(list(PREFIX), []),
  }),
  "a list of tokens",
));

/** The bearer tokens of a store, known only by their hashes. */
export class Tokens {
  readonly #identities: ReadonlyMap<string, Identity>;

  private constructor(identities: ReadonlyMap<string, Identity>) {
    this.#identities = identities;
  }

  /** Reads a tokens file (YAML). Throws an error that says what is wrong, and shows no token. */
  static parse(text: string, file: string): Tokens {
    let raw: unknown;
    try {
      raw = parse(text);
    } catch {
      // The parser quotes the line, which may contain a token.
      throw new Error(`Cannot read the tokens of ${file}: invalid YAML`);
    }
    const result = FILE["~standard"].validate(raw);
    if ("issues" in result) {
      // Without the values: a token may be under the wrong key.
      const faults = result.issues.map(({ message }) => message.replace(/: current value is [^]*$/, ""));
      throw new Error(`Cannot read the tokens of ${file}: ${faults.join("; ")}`);
    }
    const identities = new Map<string, Identity>();
    for (const { name, token, sha256, read, write } of result.value) {
      if ((token === undefined) === (sha256 === undefined)) {
        throw new Error(`Cannot read the token ${name} of ${file} : expected either token or sha256`);
      }
      const broken = [...read, ...write].find((prefix) => parsePath(prefix) === undefined);
      if (broken !== undefined) {
        throw new Error(`Cannot read the path ${broken} of the token ${name} in ${file}: invalid escape`);
      }
      const hash = sha256 ?? HASHES.sha256(utf8(token ?? ""));
      if (identities.has(hash)) {
        throw new Error(`Cannot use the token ${name} of ${file} : another entry has the same token`);
      }
      identities.set(hash, identityOf({ name, read, write }));
    }
    return new Tokens(identities);
  }

  /**
   * Authenticates an `Authorization` header. Hashes are compared, so that timing reveals nothing of
   * the token. A browser sends the token as the password of any user name.
   */
  identify(authorization: string | null): Identity | undefined {
    const [, scheme = "", sent = ""] = /^(Bearer|Basic) +(\S+) *$/i.exec(authorization ?? "") ?? [];
    const token = scheme.toLowerCase() === "basic" ? passwordOf(sent) : sent;
    return token === "" ? undefined : this.#identities.get(HASHES.sha256(utf8(token)));
  }
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
