/**
 * Joins what was added to a cluster over the admin interface with its file, so
 * that all of it is validated and applied as if it stood there. Pure.
 *
 * @module
 */
import type { Addition } from "../model/addition.ts";
import { isRecord } from "../model/node.ts";

/** The discovery that nodes are added by. */
export const NODES_DISCOVERY = "static";

/**
 * Answers a cluster's file with the sources that were added to it, as far as
 * `api` of the file still allows them. `fileName` names the cluster if its file
 * does not.
 */
export function withAdditions(
  raw: unknown,
  { fileName, additions }: { readonly fileName: string; readonly additions: readonly Addition[] },
): unknown {
  if (additions.length === 0 || !isRecord(raw) || !isRecord(raw.api)) return raw;
  const { api } = raw;
  const own = additions.filter(({ cluster }) => cluster === (raw.name ?? fileName));
  const allowed = Array.isArray(api.sources) ? api.sources : [];
  const sources = own.filter(({ kind, value }) =>
    kind === "sources" && allowed.some((name) => Object.hasOwn(value, name))
  );
  const nodes = own.filter(({ kind }) => kind === "nodes" && api.nodes === true).map(({ value }) => value);
  const items = [
    ...sources.map(({ value }) => value),
    ...nodes.length > 0 ? [{ [NODES_DISCOVERY]: { nodes } }] : [],
  ];
  return items.length === 0 ? raw : { ...raw, discovery: [...[raw.discovery].flat(), ...items] };
}
