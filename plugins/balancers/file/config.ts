import * as v from "valibot";
import {
  type HouseSchema,
  houseSchema,
  keys,
  mapOf,
  mapped,
  matching,
  optional,
  refined,
  text,
  unwanted,
} from "../../../src/kernel/schema.ts";
import { clusters, FILE_KEYS, fileFaults, filePath, PACE_KEYS } from "../outputs/keys.ts";
import type { OutputFile } from "../outputs/plan.ts";

/** The formats, and whether each writes a file for each cluster. */
export const FORMATS = {
  json: { isPerCluster: true },
  "envoy-eds": { isPerCluster: true },
  traefik: { isPerCluster: false },
  prometheus: { isPerCluster: false },
  hosts: { isPerCluster: false },
  env: { isPerCluster: false },
} as const;

/** The name of a format. */
export type FormatName = keyof typeof FORMATS;

/** A file of balancers/ of type `file`, validated. */
export interface FileConfig extends Omit<OutputFile, "path"> {
  readonly clusters?: "all" | readonly string[] | undefined;
  readonly format: FormatName;
  /** The directory of the files, for formats with a file for each cluster. */
  readonly directory: string;
  /** The file, for the others. */
  readonly path: string;
  readonly purge: boolean;
  readonly reload?: readonly string[] | undefined;
  readonly splayMs: number;
  readonly reloadIntervalMs: number;
  /** The start of URLs of `traefik`; `tcp` for none. */
  readonly scheme: "http" | "https" | "h2c" | "tcp";
  /** Labels of all targets of `prometheus`. */
  readonly labels: Readonly<Record<string, string>>;
  /** The domain that `hosts` appends to the names of clusters; empty for none. */
  readonly domain: string;
  /** The prefix of names of `env`. */
  readonly prefix: string;
}

const isPerCluster = (format: FormatName) => FORMATS[format].isPerCluster;

const balancer = houseSchema(keys({
  clusters: clusters(),
  format: v.picklist(Object.keys(FORMATS) as FormatName[], `one of ${Object.keys(FORMATS).join(", ")}`),
  directory: optional(filePath()),
  path: optional(filePath()),
  purge: optional(v.boolean("true or false"), false),
  ...FILE_KEYS,
  ...PACE_KEYS,
  scheme: optional(v.picklist(["http", "https", "h2c", "tcp"], "http, https, h2c or tcp"), "http"),
  labels: optional(mapOf(text(), "a map of strings"), {}),
  domain: optional(
    matching(
      /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/,
      "a domain, such as cluster.local",
    ),
  ),
  prefix: optional(
    matching(/^[A-Z_][A-Z0-9_]*$/, "upper-case letters, digits and underscores, not starting with a digit"),
  ),
}));

/** The keys that only some formats have. */
const OWN_KEYS = {
  directory: ["json", "envoy-eds"],
  path: ["traefik", "prometheus", "hosts", "env"],
  purge: ["json", "envoy-eds"],
  scheme: ["traefik"],
  labels: ["prometheus"],
  domain: ["hosts"],
  prefix: ["env"],
} as const satisfies { readonly [key: string]: readonly FormatName[] };

const DEFAULTS = { purge: false, scheme: "http", labels: {} } as const;

type File = typeof balancer extends HouseSchema<infer Value> ? Value : never;

const related = refined(balancer, (file) => {
  const { format } = file;
  const needed = isPerCluster(format) ? "directory" : "path";
  return [
    ...file[needed] === undefined
      ? [{ message: `Missing key ${needed}: must be an absolute path, required by the ${format} format`, path: [] }]
      : [],
    ...Object.entries(OWN_KEYS).flatMap(([key, formats]) => {
      const value = file[key as keyof File];
      const standard = DEFAULTS[key as keyof typeof DEFAULTS];
      const isUsed = value !== undefined && JSON.stringify(value) !== JSON.stringify(standard);
      const isKnown = (formats as readonly string[]).includes(format);
      return isUsed && !isKnown ? [unwanted([key], `absent when format is ${format}`, value)] : [];
    }),
    ...isPerCluster(format) && file.rollback ? [unwanted(["rollback"], `absent when format is ${format}`, true)] : [],
    ...file.path?.endsWith(".pid") ? [unwanted(["path"], "a path that does not end in .pid", file.path)] : [],
    ...Object.keys(file.labels).filter((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)).map((name) =>
      unwanted(["labels", name], "named with only letters, digits and underscores", file.labels[name])
    ),
    ...fileFaults(file, []),
  ];
});

/** Validates `balancers/NAME.yaml`. */
export const balancerSchema: HouseSchema<FileConfig> = mapped(related, (file): FileConfig => ({
  clusters: file.clusters,
  format: file.format,
  directory: file.directory ?? "",
  path: file.path ?? "",
  purge: file.purge,
  mode: file.mode,
  owner: file.owner,
  check: file.check_command,
  reload: file.reload_command,
  timeoutMs: file.timeout * 1_000,
  rollback: file.rollback,
  splayMs: file.splay * 1_000,
  reloadIntervalMs: file.reload_interval * 1_000,
  scheme: file.scheme,
  labels: file.labels,
  domain: file.domain ?? "",
  prefix: file.prefix ?? "",
}));

/** Validates the section of a cluster's file: it has no keys. */
export const clusterSchema: HouseSchema<object> = houseSchema(keys({}));
