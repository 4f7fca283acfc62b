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

/** What `postgres:` says in a service file, validated. */
export interface PostgresConfig {
  /** The user to log in as; without one, nobody logs in. */
  readonly user?: string | undefined;
  /** The password to log in with. */
  readonly password?: string | undefined;
  /** The database to log in to; the user's name if not given, as PostgreSQL has it. */
  readonly database?: string | undefined;
  /** What is asked after the login. */
  readonly query?: string | undefined;
  /** What must stand in the first column of the first row. */
  readonly expect?: string | undefined;
  /** Whether to speak TLS. */
  readonly tls: boolean;
  /** Whether the certificate must be valid. */
  readonly verify: boolean;
  /** The file of the authorities to trust, instead of the known ones. */
  readonly ca?: string | undefined;
  /** The name in SNI and in the certificate, if not the target's. */
  readonly server_name?: string | undefined;
}

const word = () => matching(/^[^\0]+$/, "a string that is not empty, without NUL");

/** Validates `postgres:` of a service file. */
export const schema = refined(
  refined(
    houseSchema(keys({
      user: optional(word()),
      password: optional(word()),
      database: optional(word()),
      query: optional(word()),
      expect: optional(converted(toText, "a text, a number, true or false")),
      tls: optional(flag(), false),
      ...TLS_KEYS,
    })),
    userFaults,
    ["user", "password", "database", "query"],
  ),
  expectFaults,
  ["query", "expect"],
);

/** YAML makes numbers and booleans of some values; PostgreSQL writes a boolean as one letter. */
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
      if (value !== undefined) issues.push({ message: `Missing key user: without it ${key} is of no use`, path: [] });
    }
  }
  return issues;
}

function expectFaults({ query, expect }: Pick<PostgresConfig, "query" | "expect">): readonly Issue[] {
  if (expect === undefined || query !== undefined) return [];
  return [{ message: "Missing key query: expect must say what it is the answer to", path: [] }];
}
