import * as v from "valibot";
import type { Endpoint } from "../../../mod.ts";
import {
  converted,
  flag,
  houseSchema,
  integer,
  keys,
  mapOf,
  mapped,
  matching,
  optional,
  refined,
  seconds,
  unwanted,
  word,
} from "../../../src/kernel/schema.ts";
import { serverAddress } from "../server_address.ts";

/** `discovery/serf.yaml`, validated. */
export interface SerfConfig {
  /** Where the agent answers. */
  readonly address: Endpoint;
  readonly authKey?: string | undefined;
  /** How often the members are read, besides after each event. */
  readonly refreshMs: number;
  /** How long an agent may take to know all members after its start. */
  readonly joinMs: number;
  /** Whether host names in an `address_tag` are resolved. */
  readonly resolveNames?: boolean | undefined;
}

/** The section of a cluster, validated. */
export interface SerfClusterConfig {
  /** Patterns for the tags of a member, by tag. */
  readonly tags: Readonly<Record<string, string>>;
  /** A pattern for its name. */
  readonly name?: string | undefined;
  readonly port?: number | undefined;
  readonly portTag?: string | undefined;
  readonly addressTag?: string | undefined;
}

/** The section of a service, validated. */
export interface SerfServiceConfig {
  readonly portTag?: string | undefined;
}

/** serf's own port for its RPC. */
const DEFAULT_PORT = 7373;
const ADDRESS_WANTED = "host:port";
const PATTERN_WANTED = "a regular expression";
const TAG_WANTED = "a tag name of at most 128 printable characters";

const pattern = () =>
  converted((value) => typeof value === "string" && compile(value) !== undefined ? value : undefined, PATTERN_WANTED);
const tag = () => optional(matching(/^[^\p{C}]{1,128}$/u, TAG_WANTED));

/** The validator of `discovery/serf.yaml`. */
export const schema = mapped(
  houseSchema(keys({
    address: optional(
      v.pipe(word(ADDRESS_WANTED), v.check((text) => serverAddress(text, DEFAULT_PORT) !== undefined, ADDRESS_WANTED)),
      `127.0.0.1:${DEFAULT_PORT}`,
    ),
    auth_key: optional(word()),
    refresh: optional(seconds({ min: 0.2, max: 60 }), 2),
    join_time: optional(seconds({ min: 0, max: 3_600 }), 30),
    resolve_names: optional(flag(), false),
  })),
  ({ address, auth_key, refresh, join_time, resolve_names }): SerfConfig => ({
    address: serverAddress(address, DEFAULT_PORT) ?? "",
    authKey: auth_key,
    refreshMs: Math.round(refresh * 1_000),
    joinMs: Math.round(join_time * 1_000),
    resolveNames: resolve_names,
  }),
);

/** The validator of the section of a cluster. */
export const clusterSchema = mapped(
  refined(
    houseSchema(keys({
      tags: optional(mapOf(pattern())),
      name: optional(pattern()),
      port: optional(integer({ min: 1, max: 65_535 })),
      port_tag: tag(),
      address_tag: tag(),
    })),
    ({ tags, name, port, port_tag }) => [
      ...port !== undefined && port_tag !== undefined
        ? [unwanted(["port_tag"], "absent when port is set", port_tag)]
        : [],
      ...port !== undefined && name === undefined && Object.keys(tags ?? {}).length === 0
        ? [unwanted(["port"], "set together with tags or name, because port alone selects all members", port)]
        : [],
    ],
  ),
  ({ tags = {}, name, port, port_tag, address_tag }): SerfClusterConfig => ({
    tags,
    name,
    port,
    portTag: port_tag,
    addressTag: address_tag,
  }),
);

/** The validator of the section of a service. */
export const serviceSchema = mapped(
  houseSchema(keys({ port_tag: tag() })),
  ({ port_tag }): SerfServiceConfig => ({ portTag: port_tag }),
);

/** Makes a pattern that has to match a whole string; `undefined` if it is invalid. */
export function compile(text: string): RegExp | undefined {
  try {
    return new RegExp(`^(?:${text})$`, "u");
  } catch {
    return undefined;
  }
}
