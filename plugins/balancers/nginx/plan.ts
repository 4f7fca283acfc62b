import type { PlanAllowance, Step } from "../../../mod.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import type { NginxWanted } from "./config.ts";
import { listenings } from "./listens.ts";
import type { Observed } from "./observe.ts";
import type { NginxFile } from "./render.ts";
import { hashIn } from "./status.ts";

/** Members concern nobody else, and paths of keys neither. */
export const FILE_MODE = 0o640;

/**
 * Plans the way from what was observed to what is wanted. Each change is a
 * reload; whether one took is known by the hash that workers answer, as nginx
 * reports a failed one to its error log alone. The file and its hash belong
 * together, so a file that was edited by hand is reloaded even if its hash is
 * the right one: it may have been loaded as it was.
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
  // What it runs stands in the file, so it holds what stands there.
  const held = file !== undefined && hashIn(file) === hash ? addressesIn(file) : new Set();
  if (hash === undefined) {
    return [...install, {
      do: "start",
      reason: orphans.length === 0 ? "not running" : "its master process is gone",
      run: [program, "-c", configFile],
      serves: wanted,
      relieves: orphans,
      listens,
    }];
  }
  const reason = because ??
    (hash === wanted ? install.length === 0 ? undefined : "config file edited" : "config or members changed");
  if (reason === undefined || !reload) return [];
  if (isContained || masterPid === undefined) {
    throw new Error("Cannot reload nginx as its process is not one of this PID namespace: run it beside the writer");
  }
  return [...install, {
    do: "reload",
    reason,
    cause: because !== undefined ? "forced" : hash === wanted || file === undefined ? "structure" : causeOf(file, text),
    listens: listens.filter((endpoint) => !held.has(endpoint)),
    serves: wanted,
    how: { signal: "SIGHUP", pid: masterPid },
  }];
}

function addressesIn(file: string): ReadonlySet<string> {
  return new Set([...file.matchAll(/^ *listen ([^;\s]+)/gm)].map(([, address = ""]) => address));
}

/** `members` if two files differ in lines of members alone. */
function causeOf(before: string, after: string): "structure" | "members" {
  return withoutMembers(before) === withoutMembers(after) ? "members" : "structure";
}

function withoutMembers(file: string): string {
  const isMember = (line: string) => /^ *(?:# )?server [^;]*; # \S+/.test(line);
  return file.split("\n").filter((line) => !isMember(line) && hashIn(line) === undefined).join("\n");
}
