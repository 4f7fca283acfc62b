import type { Node } from "../../mod.ts";
import { isHostName } from "../../src/model/endpoint.ts";
import { type ParsedNode, parseNode } from "../../src/model/node.ts";

/** What an entry says: a node, or why it is none; a host name in the place of the address is all that is wrong with `unresolved`. */
export type ParsedEntry =
  | Extract<ParsedNode, { readonly ok: true }>
  | { readonly ok: false; readonly reason: string; readonly unresolved?: Node | undefined };

/** Parses a node whose `ip` may be a host name, to be resolved by whoever reads the registry. */
export function parseEntry(value: Record<string, unknown>): ParsedEntry {
  const parsed = parseNode(value);
  const { ip, host } = value;
  if (parsed.ok || typeof ip !== "string" || !isHostName(ip) || !/[a-z]/i.test(ip)) return parsed;
  const named = parseNode({ ...value, ip: UNRESOLVED_IP, host: host ?? ip });
  return named.ok ? { ...parsed, unresolved: { ...named.node, ip } } : named;
}

/** Stands for an address that is not known yet. */
const UNRESOLVED_IP = "0.0.0.0";
