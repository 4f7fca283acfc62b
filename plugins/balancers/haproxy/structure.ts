import type { Endpoint } from "../../../mod.ts";
import { formatEndpoint, isHostName, isIpv4, isIpv6, isPort } from "../../../src/model/endpoint.ts";
import { clusterOfFrontend } from "./frontend_names.ts";
import { twinOf } from "./twins.ts";
import { PEERS_SECTION } from "./peers.ts";
import { STRUCTURE_VARIABLE } from "./render.ts";
import { words } from "./words.ts";

/** How many differences a reason lists before it counts the rest. */
const DIFFERENCES_IN_REASON = 5;

/** The sections of a rendered text by their header, without what changes with members. */
export function skeletonOf(text: string): ReadonlyMap<string, readonly string[]> {
  const sections = new Map<string, string[]>();
  let lines: string[] | undefined;
  let header = "";
  for (const line of text.split("\n")) {
    if (/^[a-z]/.test(line)) {
      header = line.trim();
      sections.set(header, lines = []);
    } else if (lines !== undefined && line.startsWith("\t")) {
      const isMember = header.startsWith("backend ") && /^\tserver \S+ /.test(line);
      // The first peer is this host itself, the others change.
      const isOther = header.startsWith("peers ") && lines.length > 0;
      if (!isMember && !isOther && !line.startsWith(`\tsetenv ${STRUCTURE_VARIABLE} `)) lines.push(line);
    }
  }
  return sections;
}

/** The same as one text, to compare by. */
export function skeleton(text: string): string {
  return JSON.stringify([...skeletonOf(text)]);
}

/**
 * Describes how two rendered texts differ in structure: `cluster web is new`, `frontend api changed`.
 * `undefined` if no line shows it.
 */
export function describeDifference(before: string, after: string): string | undefined {
  const [old, now] = [skeletonOf(before), skeletonOf(after)];
  const differences = new Set<string>();
  for (const name of namesOf(now, old)) differences.add(`${name} is new`);
  for (const name of namesOf(old, now)) differences.add(`${name} is gone`);
  for (const [header, lines] of now) {
    const known = old.get(header);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(lines)) differences.add(`${header} changed`);
  }
  if (differences.size === 0) return before === after ? undefined : "options of all server lines changed";
  const listed = [...differences];
  const more = listed.length - DIFFERENCES_IN_REASON;
  return listed.slice(0, DIFFERENCES_IN_REASON).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/**
 * Names sections that one text has and another lacks; if the other has no section of a cluster, they are
 * named as one.
 */
function namesOf(there: ReadonlyMap<string, readonly string[]>, other: ReadonlyMap<string, readonly string[]>) {
  const known = new Set([...other].map(([header, lines]) => clusterOf(header, lines)));
  return [...there].filter(([header]) => !other.has(header)).map(([header, lines]) => {
    const name = clusterOf(header, lines);
    const isWhole = name !== undefined && twinOf(name) === undefined && there.has(`backend ${name}`) &&
      !known.has(name);
    return isWhole ? `cluster ${name}` : header;
  });
}

/** The cluster, or the twin of one, whose frontend or backend a section is. */
function clusterOf(header: string, lines: readonly string[]): string | undefined {
  return /^backend (\S+)$/.exec(header)?.[1] ?? clusterOfFrontend(header, lines);
}

/** The addresses that a rendered text listens on and another does not, as far as they are plain; sorted. */
export function newListeners(before: string, after: string): readonly Endpoint[] {
  const all = (text: string) => new Set([...listeners(text), ...[peersListener(text) ?? []].flat()]);
  const old = all(before);
  return [...all(after)].filter((endpoint) => !old.has(endpoint)).toSorted();
}

/** The header of the first section that listens on an address, if any: `frontend web`. */
export function sectionListening(text: string, endpoint: Endpoint): string | undefined {
  return [...skeletonOf(text)].find(([, lines]) => listeners(lines.join("\n")).has(endpoint))?.[0];
}

/** Where a rendered text listens for peers, if it does. */
export function peersListener(text: string): Endpoint | undefined {
  return new RegExp(`^peers ${PEERS_SECTION}\\n\\tpeer \\S+ (\\S+)$`, "m").exec(text)?.[1];
}

/** What `bind` lines listen on; ranges, sockets of other kinds and variables are skipped. */
function listeners(text: string): ReadonlySet<Endpoint> {
  const found = new Set<Endpoint>();
  for (const line of text.split("\n")) {
    // Only these can start with a `bind`, quoted or escaped: a text may have many thousands of servers.
    if (!/^\t\s*[b"'\\]/.test(line)) continue;
    const [keyword, addresses = ""] = words(line);
    if (keyword !== "bind") continue;
    for (const address of addresses.split(",")) {
      const endpoint = plainEndpoint(address);
      if (endpoint !== undefined) found.add(endpoint);
    }
  }
  return found;
}

/**
 * Reads an address to bind to, where the last colon precedes the port; no host means all of IPv4. A name with
 * a requested family is skipped.
 */
function plainEndpoint(address: string): Endpoint | undefined {
  const match = /^(.*):([0-9]{1,5})$/.exec(address.replace(/^ipv[46]@/, ""));
  if (match === null || !isPort(Number(match[2]))) return undefined;
  const host = (match[1] as string).replace(/^\[(.*)\]$/, "$1").replace(/^\*?$/, "0.0.0.0");
  if (!isIpv4(host) && !isIpv6(host) && (address.includes("@") || !isHostName(host))) return undefined;
  return formatEndpoint({ host, port: Number(match[2]) });
}
