import * as v from "valibot";
import type { Endpoint } from "../../../mod.ts";
import { flag, houseSchema, keys, list, matching, optional, seconds, word } from "../../../src/kernel/schema.ts";
import { serverAddress } from "../server_address.ts";

/** `discovery/lighthouse.yaml`, validated. */
export interface LighthouseConfig {
  /** The instances of one store, the preferred first, without duplicates. */
  readonly hosts: readonly Endpoint[];
  /** The names on the way to the object that contains the clusters. */
  readonly path: readonly string[];
  /** How long a node stays after its reporter's last sign of life. */
  readonly ttlMs: number;
  /** The bearer token to send. */
  readonly token?: string | undefined;
  /** The file (PEM) of the instances' certificate authority; without it connections use no TLS. */
  readonly ca?: string | undefined;
  /** Whether host names in entries are resolved. */
  readonly resolveNames?: boolean | undefined;
}

/** The store's own port. */
const DEFAULT_PORT = 8001;
const HOSTS_WANTED = "a list of host:port";
const PATH_WANTED = "a path below the root, such as /services";

/** The validator of `discovery/lighthouse.yaml`. */
export const schema = houseSchema(v.pipe(
  keys({
    hosts: v.pipe(
      v.union(
        [word(HOSTS_WANTED), v.pipe(list(word(HOSTS_WANTED), HOSTS_WANTED), v.minLength(1, HOSTS_WANTED))],
        HOSTS_WANTED,
      ),
      v.rawTransform(({ dataset, addIssue, NEVER }): readonly Endpoint[] => {
        const hosts = parseHosts([dataset.value].flat());
        if (hosts !== undefined) return hosts;
        addIssue({ message: HOSTS_WANTED });
        return NEVER;
      }),
    ),
    path: v.pipe(
      word(PATH_WANTED),
      v.transform((path) => path.split("/").filter((name) => name !== "")),
      v.check((names) => names.length > 0, PATH_WANTED),
    ),
    ttl: optional(seconds({ min: 1, max: 3_600 }), 10),
    token: optional(matching(/^[\x21-\x7e]+$/, "printable characters without spaces")),
    ca: optional(matching(/^\/[^\0]+$/, "the absolute path of a PEM file")),
    resolve_names: optional(flag(), false),
  }),
  v.transform(({ ttl, resolve_names, ...rest }): LighthouseConfig => ({
    ...rest,
    ttlMs: Math.round(ttl * 1_000),
    resolveNames: resolve_names,
  })),
));

function parseHosts(texts: readonly string[]): readonly Endpoint[] | undefined {
  const hosts = new Set<Endpoint>();
  for (const text of texts.flatMap((each) => each.split(","))) {
    const endpoint = serverAddress(text.trim(), DEFAULT_PORT);
    if (endpoint === undefined) return undefined;
    hosts.add(endpoint);
  }
  return [...hosts];
}
