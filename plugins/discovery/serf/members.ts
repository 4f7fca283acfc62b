/**
 * What a serf agent knows about the members, as nodes. Names, addresses and tags come from anyone who
 * gossips. Pure.
 *
 * @module
 */
import type { Node } from "../../../mod.ts";
import { isRecord, LABEL_LENGTH_MAX, LABELS_MAX, nodeName, parsePort, quote } from "../../../src/model/node.ts";
import { parseEntry } from "../entry.ts";

/** A member of the gossip. */
export interface Member {
  readonly name: string;
  /** Its address in the gossip. */
  readonly ip: string;
  readonly tags: ReadonlyMap<string, string>;
  /** `alive`, `leaving`, `left`, `failed` or `none`. */
  readonly status: string;
}

/** Which members belong to a cluster, and where these serve. */
export interface Selection {
  /** What a member's tags must match. */
  readonly tags: ReadonlyMap<string, RegExp>;
  /** What a member's name must match. */
  readonly name?: RegExp | undefined;
  /** The port of all of them. */
  readonly port?: number | undefined;
  /** The tag that holds the ports of each, where there is no common port. */
  readonly portTag: string;
  /** The tag that holds the address of each, where that is not the gossip address. */
  readonly addressTag?: string | undefined;
  /** Whether that may be a host name; otherwise its member is left out. */
  readonly withNames?: boolean | undefined;
}

/** A cluster as derived from the members. */
export interface Selected {
  /** Sorted by name. */
  readonly nodes: readonly Node[];
  /** Whether a member belongs to the cluster, alive or not. */
  readonly exists: boolean;
  /** Faults for the operator, by the member's name. */
  readonly faults: ReadonlyMap<string, string>;
}

/** One port in a tag, as lighthouse writes it: `8000`, `8000@1f3a`, `8000@1f3a/drain`. */
export interface TagPort {
  readonly port: number;
  /** The session that registered it. */
  readonly owner?: string | undefined;
  readonly isDraining: boolean;
}

/** Parses the answer to `members`. Throws if it is invalid. */
export function readMembers(answer: unknown): readonly Member[] {
  const list = isRecord(answer) ? answer.Members : undefined;
  if (!Array.isArray(list)) {
    throw new Error(`Invalid response from the serf agent: expected a list of members, got ${quote(answer)}`);
  }
  return list.map((member) => {
    const { Name: name, Addr: bytes, Status: status, Tags: tags } = isRecord(member) ? member : {};
    if (typeof name !== "string" || typeof status !== "string" || !(bytes instanceof Uint8Array)) {
      throw new Error(
        `Invalid response from the serf agent: expected a member with Name, Addr and Status, got ${quote(member)}`,
      );
    }
    const entries = Object.entries(isRecord(tags) ? tags : {}).map(([tag, value]) =>
      [tag, typeof value === "string" ? value : ""] as const
    );
    return { name, ip: formatIp(bytes), tags: new Map(entries), status };
  });
}

/** Selects the members of a cluster: those that are alive, and as draining those that leave. */
export function select(members: readonly Member[], selection: Selection): Selected {
  const faults = new Map<string, string>();
  const nodes = new Map<string, Node>();
  let exists = false;
  for (const member of members) {
    if (!isSelected(member, selection)) continue;
    exists = true;
    if (member.status !== "alive" && member.status !== "leaving") continue;
    const ports = portsOf(member, selection);
    if (ports === undefined) {
      const value = member.tags.get(selection.portTag);
      faults.set(
        member.name,
        `Cannot use tag ${selection.portTag}: must contain ports; current value is ${quote(value)}`,
      );
      continue;
    }
    for (const { port, isDraining } of ports) {
      const drains = isDraining || member.status === "leaving";
      const parsed = parseEntry({
        host: member.name,
        ip: selection.addressTag === undefined ? member.ip : member.tags.get(selection.addressTag),
        port,
        metadata: {},
        labels: labelsOf(member, selection),
        ...(drains && { state: "drain" }),
      });
      const node = parsed.ok ? parsed.node : selection.withNames ? parsed.unresolved : undefined;
      if (node !== undefined) nodes.set(nodeName(node), node);
      else if (!parsed.ok) faults.set(member.name, parsed.reason);
    }
  }
  const sorted = [...nodes].toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  return { nodes: sorted.map(([, node]) => node), exists, faults };
}

/** Parses the ports in a tag; `undefined` if it holds anything else. */
export function parsePorts(text: string): readonly TagPort[] | undefined {
  const ports: TagPort[] = [];
  for (const part of text.split(",")) {
    const [, digits, owner, drain] = /^\s*([0-9]{1,5})(?:@([0-9a-z]{1,16}))?(\/drain)?\s*$/.exec(part) ?? [];
    const port = parsePort(digits);
    if (port === undefined) return undefined;
    ports.push({ port, owner, isDraining: drain !== undefined });
  }
  return ports;
}

/** Writes ports for a tag, the smallest first. */
export function formatPorts(ports: readonly TagPort[]): string {
  return ports.toSorted((a, b) => a.port - b.port).map(({ port, owner, isDraining }) =>
    `${port}${owner === undefined ? "" : `@${owner}`}${isDraining ? "/drain" : ""}`
  ).join(",");
}

function isSelected({ name, tags }: Member, selection: Selection): boolean {
  const isTagged = selection.tags.entries().every(([tag, pattern]) => pattern.test(tags.get(tag) ?? ""));
  const isNamed = selection.name === undefined || selection.name.test(name);
  // Without a filter of its own, a cluster is the members that announce where they serve it.
  return isTagged && isNamed && (selection.port !== undefined || tags.has(selection.portTag));
}

function portsOf({ tags }: Member, { port, portTag }: Selection): readonly TagPort[] | undefined {
  return port === undefined ? parsePorts(tags.get(portTag) ?? "") : [{ port, isDraining: false }];
}

/** A member's other tags, those that can be labels. */
function labelsOf({ tags }: Member, { portTag, addressTag }: Selection): Readonly<Record<string, string>> | undefined {
  const fits = (text: string) => text.length <= LABEL_LENGTH_MAX && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text);
  const entries = [...tags].filter(([tag, value]) =>
    tag !== portTag && tag !== addressTag && tag !== "" && fits(tag) && fits(value)
  );
  return entries.length === 0 ? undefined : Object.fromEntries(entries.slice(0, LABELS_MAX));
}

/** Formats an address of 4 or 16 bytes; anything else is invalid. */
function formatIp(bytes: Uint8Array): string {
  const isMapped = bytes.length === 16 && bytes.every((byte, at) => at >= 12 || byte === (at < 10 ? 0 : 0xff));
  if (bytes.length === 4 || isMapped) return bytes.slice(-4).join(".");
  if (bytes.length !== 16) return "";
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const groups = Array.from({ length: 8 }, (_, at) => view.getUint16(2 * at).toString(16));
  // The URL parser shortens an address as RFC 5952 requires.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
