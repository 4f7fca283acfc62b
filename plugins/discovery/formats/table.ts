import type { ClusterName } from "../../../mod.ts";
import { inName, inValue } from "./address.ts";
import { curator } from "./curator.ts";
import type { Format } from "./format.ts";
import { json, type JsonFields } from "./json.ts";
import { mesosMaster } from "./mesos_master.ts";
import { nerve } from "./nerve.ts";
import { own } from "./own.ts";
import { serverset } from "./serverset.ts";

/** The section of a cluster or a service for a registry whose entries have a format, validated. */
export interface FormatSection {
  /**
   * The path of the entries, if not the registry's default for the cluster: it starts with a slash, and does
   * not end with one.
   */
  readonly path?: string | undefined;
  readonly format: FormatName;
  /** The port of entries that have none. */
  readonly port?: number | undefined;
  readonly endpoint?: string | undefined;
  readonly memberPrefix?: string | undefined;
  readonly shard?: number | undefined;
  readonly fields?: JsonFields | undefined;
}

/** All formats, each with its own keys of the section, and its constructor. */
export const FORMATS = {
  lighthouse: { keys: [], make: () => own },
  address: { keys: ["port"], make: ({ port }) => inValue(port) },
  key: { keys: ["port"], make: ({ port }) => inName(port) },
  nerve: { keys: [], make: () => nerve },
  serverset: {
    keys: ["endpoint", "member_prefix", "shard"],
    make: ({ endpoint, memberPrefix = "member_", shard }) => serverset({ endpoint, memberPrefix, shard }),
  },
  curator: { keys: [], make: (_section, cluster) => curator(cluster) },
  "mesos-master": { keys: [], make: () => mesosMaster, isReadOnly: true },
  json: {
    keys: ["port", "fields"],
    make: ({ port, fields }) => json({ port, fields: { ip: "ip", port: "port", ...fields } }),
  },
} as const satisfies Readonly<
  Record<string, {
    readonly keys: readonly string[];
    readonly make: (section: Partial<FormatSection>, cluster: ClusterName) => Format;
    readonly isReadOnly?: boolean;
  }>
>;

/** The name of a format. */
export type FormatName = keyof typeof FORMATS;

/** The names of the formats. */
export const FORMAT_NAMES = Object.keys(FORMATS) as readonly FormatName[];

/** The format that the section of a cluster or a service names; Lighthouse's own without a section. */
export function formatIn(section: unknown, cluster: ClusterName): Format {
  const given = (section ?? {}) as Partial<FormatSection>;
  return FORMATS[given.format ?? "lighthouse"].make(given, cluster);
}
