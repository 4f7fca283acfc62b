import * as v from "valibot";
import {
  type HouseSchema,
  houseSchema,
  integer,
  keys,
  mapped,
  matching,
  optional,
  refined,
  unwanted,
  word,
} from "../../../src/kernel/schema.ts";
import { FORMAT_NAMES, FORMATS, type FormatSection } from "./table.ts";

/** A name in a registry: no slash, nothing unprintable. */
const NAME = /^[^\p{C}\p{Z}\/]{1,128}$/u;
const field = (standard?: string) => {
  const schema = matching(/^[^\p{Cc}]{1,128}$/u, "a field name of at most 128 characters");
  return standard === undefined ? optional(schema) : optional(schema, standard);
};

/** How one registry parses paths. */
export interface PathRules {
  /** What a path must be, for messages. */
  readonly wanted: string;
  /** Normalizes a path as the registry writes it; `undefined` for an invalid one. */
  readonly normalise: (path: string) => string | undefined;
}

/** The validators of the sections of a cluster and of a service: a service cannot use a read-only format. */
export function sectionSchemas({ wanted, normalise }: PathRules): {
  readonly cluster: HouseSchema<FormatSection>;
  readonly service: HouseSchema<FormatSection>;
} {
  const raw = houseSchema(keys({
    path: optional(
      v.pipe(word(wanted), v.check((path) => path.startsWith("/") && normalise(path) !== undefined, wanted)),
    ),
    format: optional(v.picklist(FORMAT_NAMES, wordsOf(FORMAT_NAMES)), "lighthouse"),
    port: optional(integer({ min: 1, max: 65_535 })),
    endpoint: optional(matching(NAME, "the name of an additional endpoint")),
    member_prefix: optional(matching(NAME, "the prefix of member names, such as member_")),
    shard: optional(integer({ min: 0 })),
    fields: optional(keys({
      ip: field("ip"),
      port: field("port"),
      host: field(),
      weight: field(),
      zone: field(),
      state: field(),
      labels: field(),
      priority: field(),
      metadata: field(),
    })),
  }));
  const cluster = refined(raw, ({ format, path: _path, ...more }) => {
    const own: readonly string[] = FORMATS[format].keys;
    return Object.entries(more)
      .filter(([key, value]) => value !== undefined && !own.includes(key))
      .map(([key, value]) => unwanted([key], `absent when format is ${format}`, value));
  });
  const service = refined(
    cluster,
    ({ format }) =>
      "isReadOnly" in FORMATS[format]
        ? [unwanted(
          ["format"],
          `one that can be written: ${wordsOf(FORMAT_NAMES.filter((name) => !("isReadOnly" in FORMATS[name])))}`,
          format,
        )]
        : [],
  );
  const map = (schema: typeof cluster) =>
    mapped(schema, ({ path, member_prefix, ...section }): FormatSection => ({
      ...section,
      path: path === undefined ? undefined : normalise(path),
      memberPrefix: member_prefix,
    }));
  return { cluster: map(cluster), service: map(service) };
}

function wordsOf(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
