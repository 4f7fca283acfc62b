import assert from "node:assert/strict";
import { parse } from "yaml";
import type { HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import type { Node } from "../../src/model/node.ts";
import { haproxyCluster, haproxyConfig, TEST_FQDN } from "./haproxy.ts";
import { wantedNode } from "../../src/membership/wanted.ts";

/** A cluster as a golden case writes it. */
export interface CaseCluster {
  /** Its name. */
  readonly name: string;
  /** Its meta cluster. */
  readonly meta_cluster?: string;
  /** The `haproxy` section of its file; empty if left out. */
  readonly haproxy?: Record<string, unknown> | null;
  /** Its members: `host:port ip`, with `peer` at the end for one whose host has a balancer; or a node as it is. */
  readonly nodes?: readonly (string | Node)[];
}

/** What is wanted, as a golden case writes it. */
export interface CaseWanted {
  /** The keys of `balancers/haproxy.yaml`; those that say where things are may be left out. */
  readonly balancer?: Record<string, unknown>;
  /** The version of HAProxy; `unknown` for none. */
  readonly version?: string;
  /** The clusters. */
  readonly clusters?: readonly CaseCluster[];
}

/** Where things are, unless a case says otherwise. */
const PLACES = {
  config_file: "/etc/haproxy.cfg",
  socket_file: "/var/run/haproxy.sock",
  pid_file: "/var/run/haproxy.pid",
};

/** The version of HAProxy, unless a case says otherwise. */
const VERSION = "2.6.12";

/** One golden case: the reason for it, what is given, and what is expected. */
export interface GoldenCase<Given> {
  /** The part of the file that is given, as it stands. */
  readonly text: string;
  /** The same, read. */
  readonly given: Given;
  /** What is expected. */
  readonly expected: string;
}

/** Reads a case: YAML, a line `----`, and what is expected. */
export async function readCase<Given>(path: URL): Promise<GoldenCase<Given>> {
  const [text = "", ...expected] = (await Deno.readTextFile(path)).split(/^----\n/m);
  return { text, given: parse(text) as Given, expected: expected.join("----\n") };
}

/** Compares with what is expected, or with `UPDATE_GOLDEN=1` writes it anew. */
export async function compareCase(path: URL, { text, expected }: GoldenCase<unknown>, shown: string): Promise<void> {
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(path, `${text}----\n${shown}`);
  else assert.equal(shown, expected);
}

/** The golden cases of a folder, by name. */
export function caseNames(folder: URL): readonly string[] {
  return [...Deno.readDirSync(folder)].filter(({ isFile, name }) => isFile && name.endsWith(".txt"))
    .map(({ name }) => name).toSorted();
}

/** Makes what a case writes into what a plugin gets. */
export function wantedOf({ balancer = {}, version = VERSION, clusters = [] }: CaseWanted): HaproxyWanted {
  return {
    config: haproxyConfig({ ...PLACES, ...balancer }),
    host: { fqdn: TEST_FQDN, ip: "10.0.9.9" },
    version: version === "unknown" ? undefined : readVersion(version),
    clusters: clusters.map(({ name, meta_cluster: metaCluster, haproxy: section, nodes = [] }) => ({
      name,
      metaCluster,
      config: haproxyCluster(section ?? {}),
      nodes: nodes.map((node) => wantedNode(typeof node === "string" ? readNode(node) : { ...node, metadata: {} })),
    })),
  };
}

function readVersion(text: string): readonly [number, number, number] {
  const [major = 0, minor = 0, patch = 0] = text.split(".").map(Number);
  return [major, minor, patch];
}

/** Reads `host:port ip`, with `peer` behind it for one whose host has a balancer. */
export function readNode(text: string): Node {
  const match = /^(\S+):([0-9]+) (\S+)( peer)?$/.exec(text);
  assert(match !== null, `a node is written as "host:port ip": ${text}`);
  const [, host = "", port, ip = "", peer] = match;
  const node = { host, ip, port: Number(port), metadata: {} };
  return peer === undefined ? node : { ...node, peer: { name: host, ip, port: 1024 } };
}
