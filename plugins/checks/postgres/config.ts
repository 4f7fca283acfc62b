import {
  converted,
  flag,
  houseSchema,
  type Issue,
  keys,
  matching,
  optional,
  refined,
} from "../../../src/kernel/schema.ts";
import { TLS_KEYS } from "../tls_keys.ts";

/** The section `postgres:` of a service file, validated. */
export interface PostgresConfig {
  /** The user to log in as; without it, there is no login. */
  readonly user?: string | undefined;
  /** The password to log in with. */
  readonly password?: string | undefined;
  /** The database to log in to; by default the user's name, as in PostgreSQL. */
  readonly database?: string | undefined;
  /** The query after the login. */
  readonly query?: string | undefined;
  /** The expected value of the first column of the first row. */
  readonly expect?: string | undefined;
  /** Whether to use TLS. */
  readonly tls: boolean;
  /** Whether the certificate must be valid. */
  readonly verify: boolean;
  /** The CA file, instead of the known authorities. */
  readonly ca?: string | undefined;
  /** The name in SNI and in the certificate, if not the target's. */
  readonly server_name?: string | undefined;
}

const word = () => matching(/^[^\0]+$/, "a non-empty string without NUL characters");

/** Validates `postgres:` of a service file. */
export const schema = refined(
  refined(
    houseSchema(keys({
      user: optional(word()),
      password: optional(word()),
      database: optional(word()),
      query: optional(word()),
      expect: optional(converted(toText, "a string, a number, true or false")),
      tls: optional(flag(), false),
      ...TLS_KEYS,
    })),
    userFaults,
    ["user", "password", "database", "query"],
  ),
  expectFaults,
  ["query", "expect"],
);

/** YAML parses some values as numbers and booleans; PostgreSQL writes a boolean as one letter. */
function toText(value: unknown): string | undefined {
  if (typeof value === "boolean") return value ? "t" : "f";
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

function userFaults(
  { user, password, database, query }: Pick<PostgresConfig, "user" | "password" | "database" | "query">,
): readonly Issue[] {
  const issues: Issue[] = [];
  if (user === undefined) {
    for (const [key, value] of Object.entries({ password, database, query })) {
      if (value !== undefined) {
        issues.push({ message: `Missing key user: ${key} has no effect without user`, path: [] });
      }
    }
  }
  return issues;
}

function expectFaults({ query, expect }: Pick<PostgresConfig, "query" | "expect">): readonly Issue[] {
  if (expect === undefined || query !== undefined) return [];
  return [{ message: "Missing key query: expect requires a query", path: [] }];
}
