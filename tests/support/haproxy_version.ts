/**
 * The HAProxy that the tests run: the first `haproxy` on `PATH`, which
 * `deno task test:haproxy` sets to each of several versions.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isAtLeast, type Version } from "../../plugins/balancers/haproxy/backend.ts";
import { parseVersion } from "../../plugins/balancers/haproxy/observe.ts";

/** Its version. */
export const HAPROXY_VERSION: Version = askVersion();

/** Whether its version is this one or later. */
export function isHaproxyAtLeast(major: number, minor: number): boolean {
  return isAtLeast(HAPROXY_VERSION, major, minor);
}

/** The name of a cluster's frontend in the file. */
export function frontendName(cluster: string): string {
  return isHaproxyAtLeast(3, 1) ? `${cluster}:in` : cluster;
}

function askVersion(): Version {
  const { stdout } = new Deno.Command("haproxy", { args: ["-v"], stdin: "null", stderr: "null" }).outputSync();
  const version = parseVersion(new TextDecoder().decode(stdout));
  assert(version !== undefined, "haproxy -v prints a version");
  return version;
}
