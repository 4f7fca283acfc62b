import {
  converted,
  flag,
  houseSchema,
  type Issue,
  keys,
  mapOf,
  matching,
  optional,
  refined,
  word,
} from "../../../src/kernel/schema.ts";
import { TLS_KEYS } from "../tls_keys.ts";

/** A range of status codes, both ends included. */
export interface StatusRange {
  /** The lowest. */
  readonly from: number;
  /** The highest. */
  readonly to: number;
}

/** The section `http:` of a service file, validated. */
export interface HttpConfig {
  /** The request target: a path, or `*`. */
  readonly uri: string;
  /** The method, in capitals. */
  readonly method: string;
  /** Whether to use TLS. */
  readonly https: boolean;
  /** Headers to send besides the default ones, or instead of them. */
  readonly headers: { readonly [name: string]: string };
  /** The status codes that pass. */
  readonly status: readonly StatusRange[];
  /** What the body must contain. */
  readonly body?: string | undefined;
  /** Whether the certificate must be valid. */
  readonly verify: boolean;
  /** The CA file, instead of the known authorities. */
  readonly ca?: string | undefined;
  /** The name in SNI, in the certificate and in the Host header, if not the target's. */
  readonly server_name?: string | undefined;
}

const WANTED_STATUS = "a status, a range or a list of them, such as 200, 200-299, 2xx or [200, 301]";

/** Validates `http:` of a service file. */
export const schema = refined(
  refined(
    houseSchema(keys({
      uri: matching(/^(?:\/[!-~]*|\*)$/, 'a path that starts with "/", in ASCII and without spaces'),
      method: optional(converted(toMethod, "the name of a method, such as GET"), "GET"),
      https: optional(flag(), false),
      headers: optional(mapOf(converted(toHeaderValue, "a one-line string")), {}),
      status: optional(converted(toStatusRanges, WANTED_STATUS), "200-299"),
      body: optional(word()),
      ...TLS_KEYS,
    })),
    headerFaults,
    ["headers"],
  ),
  bodyFaults,
  ["body", "method"],
);

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function toMethod(value: unknown): string | undefined {
  return typeof value === "string" && TOKEN.test(value) ? value.toUpperCase() : undefined;
}

/** YAML parses some values as numbers and booleans; a line break would start another header. */
function toHeaderValue(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined;
  const text = String(value);
  // deno-lint-ignore no-control-regex -- controls are rejected.
  return /[\u0000-\u0008\u000a-\u001f\u007f]/.test(text) ? undefined : text;
}

function toStatusRanges(value: unknown): readonly StatusRange[] | undefined {
  const parts = (Array.isArray(value) ? value : [value]).flatMap((part) =>
    typeof part === "string" ? part.split(",").map((each) => each.trim()) : [part]
  );
  const ranges = parts.map((part) => toStatusRange(String(part)));
  return ranges.length === 0 || ranges.includes(undefined) ? undefined : ranges as readonly StatusRange[];
}

function toStatusRange(part: string): StatusRange | undefined {
  const hundred = /^([1-5])xx$/i.exec(part)?.[1];
  if (hundred !== undefined) return { from: Number(hundred) * 100, to: Number(hundred) * 100 + 99 };
  const match = /^([1-5][0-9]{2})(?:\s*-\s*([1-5][0-9]{2}))?$/.exec(part);
  if (match === null) return undefined;
  const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
  return from <= to ? { from, to } : undefined;
}

/** Headers that would announce a body that is never sent. */
const FRAMING = new Set(["content-length", "transfer-encoding"]);

function headerFaults({ headers }: Pick<HttpConfig, "headers">): readonly Issue[] {
  const issues: Issue[] = [];
  for (const name of Object.keys(headers)) {
    const wanted = !TOKEN.test(name)
      ? "the name of a header: letters, digits and dashes"
      : FRAMING.has(name.toLowerCase())
      ? "another header, because a check sends no body"
      : undefined;
    if (wanted !== undefined) {
      issues.push({
        message: `Cannot use the header name: must be ${wanted}; current value is ${JSON.stringify(name)}`,
        path: ["headers", name],
      });
    }
  }
  return issues;
}

function bodyFaults({ body, method }: Pick<HttpConfig, "body" | "method">): readonly Issue[] {
  if (body === undefined || method !== "HEAD") return [];
  return [{ message: "Cannot use body: a response to HEAD has no body; omit the key, or use GET", path: ["body"] }];
}
