import * as v from "valibot";
import type { Node } from "../../../mod.ts";
import {
  converted,
  flag,
  houseSchema,
  integer,
  keys,
  list,
  mapped,
  optional,
  refined,
  unwanted,
} from "../../../src/kernel/schema.ts";
import { isHostName, isIpv4, isIpv6, parseEndpoint } from "../../../src/model/endpoint.ts";
import { isRecord, isZone, nodeName, PRIORITY_MAX, WEIGHT_MAX } from "../../../src/model/node.ts";
import { parseEntry } from "../entry.ts";

/** A host name has a letter: without one it is a mistyped address. */
const isAddress = (text: string) => isIpv4(text) || isIpv6(text) || isHostName(text) && /[a-z]/i.test(text);
const string = (is: (text: string) => boolean, wanted: string) =>
  converted((value) => typeof value === "string" && is(value) ? value : undefined, wanted);
const ENDPOINT = converted((value) => {
  const { host = "", port } = typeof value === "string" ? parseEndpoint(value) ?? {} : {};
  return isAddress(host) ? { address: host, port } : undefined;
}, "ADDRESS:PORT (an IPv6 address in brackets), or a map with address and port");
const NODE = keys({
  address: string(isAddress, "an IPv4 or IPv6 address, or a host name"),
  port: integer({ min: 1, max: 65_535 }),
  host: optional(string(isHostName, "a host name")),
  weight: optional(integer({ min: 0, max: WEIGHT_MAX })),
  priority: optional(integer({ min: 0, max: PRIORITY_MAX })),
  state: optional(string((text) => text === "ready" || text === "drain", "ready or drain")),
  zone: optional(string(isZone, "1 to 64 letters, digits, dots, hyphens and underscores")),
  metadata: optional(converted((value) => isRecord(value) ? value : undefined, "a map")),
});
const SECTION = mapped(
  houseSchema(keys({ nodes: list(v.lazy((value) => isRecord(value) ? NODE : ENDPOINT)) })),
  ({ nodes }) =>
    nodes.map(({ address, ...node }) => {
      const parsed = parseEntry({ ...node, ip: address });
      const named = parsed.ok ? undefined : parsed.unresolved;
      return named === undefined ? parsed : { ok: true as const, node: named };
    }),
);

/** `discovery/static.yaml`, validated. */
export interface StaticConfig {
  /** Whether host names are resolved. */
  readonly resolveNames?: boolean | undefined;
}

/** The validator of `discovery/static.yaml`. */
export const schema = mapped(
  houseSchema(keys({ resolve_names: optional(flag(), true) })),
  ({ resolve_names }): StaticConfig => ({ resolveNames: resolve_names }),
);
/** The validator of a cluster's section: its nodes, whose addresses may be host names. */
export const clusterSchema = mapped(
  refined(SECTION, (nodes) => {
    const names = new Set<string>();
    return nodes.flatMap((parsed, at) => {
      if (!parsed.ok) return [{ message: parsed.reason, path: ["nodes", at] }];
      const name = nodeName(parsed.node);
      if (names.has(name)) return [unwanted(["nodes", at], "different from the nodes above", name)];
      names.add(name);
      return [];
    });
  }),
  (nodes): readonly Node[] => nodes.flatMap((parsed) => parsed.ok ? parsed.node : []),
);
