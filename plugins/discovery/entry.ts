import type { Node } from "../../mod.ts";
import { isHostName } from "../../src/model/endpoint.ts";
import { type ParsedNode, parseNode } from "../../src/model/node.ts";

/**
 * The content of an entry: a node, or why it is none; with `unresolved` a host name as the address is the
 * only fault.
 */
export type ParsedEntry =
  | Extract<ParsedNode, { readonly ok: true }>
  | { readonly ok: false; readonly reason: string; readonly unresolved?: Node | undefined };

/** Parses a node whose `ip` may be a host name, to be resolved by the reader of the registry. */
export function parseEntry(value: Record<string, unknown>): ParsedEntry {
  const parsed = parseNode(value);
  const { ip, host } = value;
  if (parsed.ok || typeof ip !== "string" || !isHostName(ip) || !/[a-z]/i.test(ip)) return parsed;
  const named = parseNode({ ...value, ip: UNRESOLVED_IP, host: host ?? ip });
  return named.ok ? { ...parsed, unresolved: { ...named.node, ip } } : named;
}

/** Stands for an address that is not known yet. */
const UNRESOLVED_IP = "0.0.0.0";
