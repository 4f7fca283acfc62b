import type { ClusterName, Explanation, Rendered } from "../../../mod.ts";
import { clusterListening } from "./structure.ts";

/** Lines of HAProxy's output that only say that there were others. */
const EMPTY_WORDS = /Error\(s\) found in configuration file|Fatal errors found in configuration|failed to start their/;

/** How many faults a message holds. */
const FAULTS_MAX = 3;

/** Makes sense of what HAProxy wrote when it refused a file, or of why it was not asked to take it. */
export function explain({ text }: Rendered, output: string): Explanation {
  const alerts = output.split("\n").filter((line) => /\[ALERT\]/.test(line) && !EMPTY_WORDS.test(line));
  const faults = alerts.length === 0 ? [output] : alerts;
  const more = faults.length - FAULTS_MAX;
  return {
    cluster: faults.map((fault) => clusterAtFault(text, fault)).find((cluster) => cluster !== undefined),
    message: faults.slice(0, FAULTS_MAX).map((fault) => describe(text, fault)).join("; ") +
      (more > 0 ? `; and ${more} more` : ""),
  };
}

/** HAProxy names the line, the section, or both; the host names an address that cannot be had. */
function clusterAtFault(text: string, fault: string): ClusterName | undefined {
  const line = lineOf(fault);
  const byLine = line === undefined ? undefined : clusterAt(text, line);
  if (byLine !== undefined) return byLine;
  const named = /(?:[Pp]roxy|frontend|backend) '?([A-Za-z0-9_.:-]+?)'?[:, ]/.exec(fault)?.[1];
  if (named !== undefined && text.includes(`\nbackend ${named}\n`)) return named;
  const taken = /\bthe address (\S+) cannot be had\b/.exec(fault)?.[1];
  return taken === undefined ? undefined : clusterListening(text, taken);
}

/** The cluster whose section a line is in, if it is in one; a meta cluster's choices are their clusters'. */
function clusterAt(text: string, line: number): ClusterName | undefined {
  const lines = text.split("\n").slice(0, line);
  const choice = /^\t(?:acl is_|use_backend )([^ ]+)/.exec(lines.at(-1) ?? "")?.[1];
  const header = lines.findLast((candidate) => /^[a-z]/.test(candidate)) ?? "";
  const name = choice ?? /^(?:frontend|backend|peers) ([^ ]+)$/.exec(header)?.[1];
  return name !== undefined && text.includes(`\nbackend ${name}\n`) ? name : undefined;
}

/** Drops the process and the path, and quotes the line that is meant. */
function describe(text: string, fault: string): string {
  const line = lineOf(fault);
  const meant = line === undefined ? undefined : text.split("\n")[line - 1]?.trim();
  const words = fault.replace(/^\[ALERT\]\s*\([0-9]+\)\s*:\s*/, "").replace(/^config : /, "")
    .replace(/^[Pp]arsing \[[^\]]*\]\s*:\s*/, "").trim();
  return meant === undefined || meant === "" ? words : `${words} (line ${line}: ${JSON.stringify(meant)})`;
}

/** Reads the number out of `[/etc/haproxy.cfg:12]`. */
function lineOf(fault: string): number | undefined {
  const line = /\[[^\]\s]*:([0-9]+)\](?!:)/.exec(fault)?.[1];
  return line === undefined ? undefined : Number(line);
}
