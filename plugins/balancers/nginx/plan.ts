import type { PlanAllowance, Step } from "../../../mod.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import type { NginxWanted } from "./config.ts";
import { listenings } from "./listens.ts";
import { clusterOf } from "./members.ts";
import type { Observed } from "./observe.ts";
import type { NginxFile } from "./render.ts";
import { hashIn } from "./status.ts";

/** Members concern no other user, nor do paths of keys. */
export const FILE_MODE = 0o640;

/**
 * Plans the way from the observed to the desired state. Each change is a reload; whether one succeeded is
 * known by the hash that workers answer, as nginx reports a failed one to its error log only. The file and
 * its hash belong together, so a file that was edited by hand is reloaded even if its hash is correct: it may
 * have been loaded as edited.
 */
export function plan(
  { config, clusters }: NginxWanted,
  { text }: Pick<NginxFile, "text">,
  { hash, masterPid, isContained, orphans, file }: Observed,
  { reload, because }: PlanAllowance,
): readonly Step[] {
  const { configFile, program } = config;
  const wanted = hashIn(text) ?? "";
  const install: readonly Step[] = file === text ? [] : [{
    do: "install",
    path: configFile,
    contents: text,
    mode: FILE_MODE,
    check: [program, "-t", "-q", "-c", "%"],
    when: "now",
  }];
  const listens = listenings(config, clusters.map((cluster) => cluster.config)).map((at) => formatEndpoint(at));
  // It runs the content of the file.
  const held = file !== undefined && hashIn(file) === hash ? addressesIn(file) : new Set();
  if (hash === undefined) {
    return [...install, {
      do: "start",
      reason: orphans.length === 0 ? "not running" : "only orphan processes are serving",
      run: [program, "-c", configFile],
      serves: wanted,
      relieves: orphans,
      listens,
    }];
  }
  const change = file === undefined || hashIn(file) !== hash ? undefined : changeOf(file, text);
  const drift = install.length === 0 ? undefined : "config file edited";
  const reason = because ?? (hash === wanted ? drift : change?.reason ?? "nginx serves a different config");
  if (reason === undefined || !reload) return [];
  if (isContained || masterPid === undefined) {
    throw new Error(
      "Cannot reload nginx: nginx and the writer run in different PID namespaces; run both in the same PID namespace",
    );
  }
  return [...install, {
    do: "reload",
    reason,
    cause: because !== undefined ? "forced" : hash === wanted ? "structure" : change?.cause ?? "structure",
    listens: listens.filter((endpoint) => !held.has(endpoint)),
    serves: wanted,
    how: { signal: "SIGHUP", pid: masterPid },
  }];
}

function addressesIn(file: string): ReadonlySet<string> {
  return new Set([...file.matchAll(/^ *listen ([^;\s]+)/gm)].map(([, address = ""]) => address));
}

/** The reason of a reload from one file to another. */
interface Change {
  readonly cause: "structure" | "members";
  readonly reason: string;
}

/** How many clusters a reason names. */
const CLUSTERS_SHOWN = 3;

/** Finds how two files differ: in the members of some clusters alone, or in other lines too. */
function changeOf(before: string, after: string): Change {
  const [one, other] = [partsOf(before), partsOf(after)];
  const names = [...new Set([...one.members.keys(), ...other.members.keys()])];
  const changed = names.filter((name) => one.members.get(name) !== other.members.get(name));
  if (one.rest !== other.rest || changed.length === 0) return { cause: "structure", reason: "config changed" };
  const more = changed.length > CLUSTERS_SHOWN ? ` and ${changed.length - CLUSTERS_SHOWN} more clusters` : "";
  return { cause: "members", reason: `members of ${changed.slice(0, CLUSTERS_SHOWN).join(", ")}${more} changed` };
}

/** The lines of the members of each cluster of a file, and all others except that of the hash. */
function partsOf(file: string): { readonly members: ReadonlyMap<string, string>; readonly rest: string } {
  const members = new Map<string, string>();
  const rest: string[] = [];
  let name = "";
  for (const line of file.split("\n")) {
    const cluster = clusterOf(line);
    if (cluster !== undefined) {
      name = cluster;
      members.set(name, "");
    }
    if (/^ *(?:# )?server [^;]*; # \S+/.test(line)) members.set(name, `${members.get(name)}${line}\n`);
    else if (hashIn(line) === undefined) rest.push(line);
  }
  return { members, rest: rest.join("\n") };
}
