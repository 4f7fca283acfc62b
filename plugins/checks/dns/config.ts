import { converted, houseSchema, type Issue, keys, optional, refined } from "../../../src/kernel/schema.ts";
import { isHostName } from "../../../src/model/endpoint.ts";

/** The supported types of records. */
export const RECORD_TYPES = ["A", "AAAA", "CNAME", "MX", "NS", "SRV", "TXT"] as const;

/** A supported type of records. */
export type RecordType = typeof RECORD_TYPES[number];

/** The section `dns:` of a service file, validated. */
export interface DnsConfig {
  /** The queried name, without a trailing dot unless it is the root. */
  readonly name: string;
  /** The type of the records. */
  readonly record: RecordType;
  /** The records that must all be in the answer, as strings. */
  readonly expect: readonly string[];
}

const WANTED_NAME = "a domain name, such as www.example.com, each part of at most 63 characters";

/** Validates `dns:` of a service file. */
export const schema = refined(
  houseSchema(keys({
    name: converted(toName, WANTED_NAME),
    record: optional(converted(toRecordType, `one of ${RECORD_TYPES.join(", ")}`), "A"),
    expect: optional(converted(toTexts, "a non-empty string, or a list of them"), []),
  })),
  faults,
  ["name"],
);

function toName(value: unknown): string | undefined {
  if (value === ".") return value;
  if (typeof value !== "string" || !isHostName(value)) return undefined;
  const name = value.replace(/\.$/, "");
  return name.split(".").every((label) => label.length >= 1 && label.length <= 63) ? name : undefined;
}

function toRecordType(value: unknown): RecordType | undefined {
  return RECORD_TYPES.find((type) => typeof value === "string" && type === value.toUpperCase());
}

function toTexts(value: unknown): readonly string[] | undefined {
  const texts = Array.isArray(value) ? value : [value];
  return texts.every((each) => typeof each === "string" && each !== "") ? texts : undefined;
}

/** Deno's resolver answers these itself, whatever the server would answer. */
const NEVER_ASKED = /(?:^|\.)(?:localhost|invalid|onion)$/i;

function faults({ name }: Pick<DnsConfig, "name">): readonly Issue[] {
  if (!NEVER_ASKED.test(name)) return [];
  return [{
    message: "Cannot use name: must not be localhost or end in .localhost, .invalid or .onion, " +
      `which are resolved without a name server; current value is ${JSON.stringify(name)}`,
    path: ["name"],
  }];
}
