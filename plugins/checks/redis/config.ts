import { flag, houseSchema, type Issue, keys, optional, refined, word } from "../../../src/kernel/schema.ts";
import { TLS_KEYS } from "../tls_keys.ts";

/** The section `redis:` of a service file, validated. */
export interface RedisConfig {
  /** The ACL user to log in as; without it, the default user. */
  readonly username?: string | undefined;
  /** The password to log in with; without it, no login. */
  readonly password?: string | undefined;
  /** Whether to use TLS. */
  readonly tls: boolean;
  /** Whether the certificate must be valid. */
  readonly verify: boolean;
  /** The CA file, instead of the known authorities. */
  readonly ca?: string | undefined;
  /** The name in SNI and in the certificate, if not the target's. */
  readonly server_name?: string | undefined;
}

/** Validates `redis:` of a service file. */
export const schema = refined(
  houseSchema(keys({
    username: optional(word()),
    password: optional(word()),
    tls: optional(flag(), false),
    ...TLS_KEYS,
  })),
  faults,
  ["username", "password"],
);

function faults({ username, password }: Pick<RedisConfig, "username" | "password">): readonly Issue[] {
  return username !== undefined && password === undefined
    ? [{ message: "Missing key password: username requires a password", path: [] }]
    : [];
}
