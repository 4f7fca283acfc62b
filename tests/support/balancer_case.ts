import assert from "node:assert/strict";
import { parse } from "yaml";
import type { HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import type { Node } from "../../src/model/node.ts";
import { haproxyCluster, haproxyConfig, TEST_FQDN } from "./haproxy.ts";
import { wantedNode } from "../../src/membership/wanted.ts";

/** A cluster in the notation of a golden case. */
export interface CaseCluster {
  /** Its name. */
  readonly name: string;
  /** Its meta cluster. */
  readonly meta_cluster?: string;
  /** The `haproxy` section of its file; empty by default. */
  readonly haproxy?: Record<string, unknown> | null;
  /** Its members: `host:port ip`, with `peer` at the end for a host with a balancer; or a complete node. */
  readonly nodes?: readonly (string | Node)[];
}

/** The desired state in the notation of a golden case. */
export interface CaseWanted {
  /** The keys of `balancers/haproxy.yaml`; those for paths and programs have defaults. */
  readonly balancer?: Record<string, unknown>;
  /** The version of HAProxy; `unknown` for none. */
  readonly version?: string;
  /** The clusters. */
  readonly clusters?: readonly CaseCluster[];
}

/** The default paths. */
const PLACES = {
  config_file: "/etc/haproxy.cfg",
  socket_file: "/var/run/haproxy.sock",
  pid_file: "/var/run/haproxy.pid",
};

/** The default HAProxy version. */
const VERSION = "2.6.12";

/** One golden case: its reason, the input, and the expected output. */
export interface GoldenCase<Given> {
  /** The input part of the file, verbatim. */
  readonly text: string;
  /** The same, parsed. */
  readonly given: Given;
  /** The expected output. */
  readonly expected: string;
}

/** Reads a case: YAML, a line `----`, and the expected output. */
export async function readCase<Given>(path: URL): Promise<GoldenCase<Given>> {
  const [text = "", ...expected] = (await Deno.readTextFile(path)).split(/^----\n/m);
  return { text, given: parse(text) as Given, expected: expected.join("----\n") };
}

/** Compares with the expected output, or with `UPDATE_GOLDEN=1` updates it. */
export async function compareCase(path: URL, { text, expected }: GoldenCase<unknown>, shown: string): Promise<void> {
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(path, `${text}----\n${shown}`);
  else assert.equal(shown, expected);
}

/** The golden cases of a folder, by name. */
export function caseNames(folder: URL): readonly string[] {
  return [...Deno.readDirSync(folder)].filter(({ isFile, name }) => isFile && name.endsWith(".txt"))
    .map(({ name }) => name).toSorted();
}

/** Converts a case's notation to the plugin's input. */
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

/** Reads `host:port ip`, with `peer` after it for a host with a balancer. */
export function readNode(text: string): Node {
  const match = /^(\S+):([0-9]+) (\S+)( peer)?$/.exec(text);
  assert(match !== null, `want a node as "host:port ip": ${text}`);
  const [, host = "", port, ip = "", peer] = match;
  const node = { host, ip, port: Number(port), metadata: {} };
  return peer === undefined ? node : { ...node, peer: { name: host, ip, port: 1024 } };
}
