import * as v from "valibot";
import type { Node } from "../../../mod.ts";
import {
  converted,
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
import { isRecord, isZone, nodeName, parseNode, WEIGHT_MAX } from "../../../src/model/node.ts";

const string = (is: (text: string) => boolean, wanted: string) =>
  converted((value) => typeof value === "string" && is(value) ? value : undefined, wanted);
const ENDPOINT = converted((value) => {
  const { host = "", port } = typeof value === "string" ? parseEndpoint(value) ?? {} : {};
  return isIpv4(host) || isIpv6(host) ? { address: host, port } : undefined;
}, "ADDRESS:PORT (an IPv6 address in brackets), or a map with address and port");
const NODE = keys({
  address: string((text) => isIpv4(text) || isIpv6(text), "an IPv4 or IPv6 address"),
  port: integer({ min: 1, max: 65_535 }),
  host: optional(string(isHostName, "a host name")),
  weight: optional(integer({ min: 0, max: WEIGHT_MAX })),
  state: optional(string((text) => text === "ready" || text === "drain", "ready or drain")),
  zone: optional(string(isZone, "1 to 64 letters, digits, dots, hyphens and underscores")),
  metadata: optional(converted((value) => isRecord(value) ? value : undefined, "a map")),
});
const SECTION = mapped(
  houseSchema(keys({ nodes: list(v.lazy((value) => isRecord(value) ? NODE : ENDPOINT)) })),
  ({ nodes }) => nodes.map(({ address, ...node }) => parseNode({ ...node, ip: address })),
);

/** The validator of `discovery/static.yaml`. */
export const schema = houseSchema(keys({}));
/** The validator of a cluster's section: its nodes. */
export const clusterSchema = mapped(
  refined(SECTION, (nodes) => {
    const names = new Set<string>();
    return nodes.flatMap((parsed, at) => {
      if (!parsed.ok) return [{ message: parsed.reason, path: ["nodes", at] }];
      const name = nodeName(parsed.node);
      if (names.has(name)) return [unwanted(["nodes", at], "another node than those before", name)];
      names.add(name);
      return [];
    });
  }),
  (nodes): readonly Node[] => nodes.flatMap((parsed) => parsed.ok ? parsed.node : []),
);
