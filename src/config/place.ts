import type { Finding } from "../kernel/findings.ts";
import type { Source } from "./source.ts";
import type { Origin } from "../plugin/contract.ts";
import type { Accepted } from "./accepted.ts";

/** A finding with the file of the config directory that it is about. */
export interface PlacedFinding {
  /** The file: `clusters/web`. */
  readonly key: string;
  readonly finding: Finding;
}

/** Finds the file and the path of what a balancer says of its part of the config. Pure. */
export function placeFinding(
  { clusters }: Pick<Accepted, "clusters">,
  balancer: string,
  { severity, message, origin }: Pick<Finding, "severity" | "message"> & { readonly origin: Origin | undefined },
): PlacedFinding {
  const { cluster: name, path, from } = origin ?? { path: [] };
  const file = name === undefined ? undefined : fileOf(clusters, name);
  const at = path.length === 0 ? "key" : "value";
  return file === undefined ? { key: `balancers/${balancer}`, finding: { severity, message, path, at } } : {
    key: `clusters/${file}`,
    finding: { severity, message, path: from === "file" ? path : [balancer, ...path], at },
  };
}

/** The file that a cluster of this name stands in: most often the one that is called so, whatever number there is. */
function fileOf(clusters: Accepted["clusters"], name: string): string | undefined {
  if (clusters.get(name)?.cluster.name === name) return name;
  for (const [file, { cluster }] of clusters) if (cluster.name === name) return file;
  return undefined;
}

/** Says of something in a balancer's part of the config where it stands, with no secret in it. Pure. */
export function placed(
  { accepted, sources, balancer }: {
    readonly accepted: Pick<Accepted, "clusters">;
    readonly sources: ReadonlyMap<string, Source>;
    readonly balancer: string;
  },
  origin: Origin,
  message: string,
): string {
  const { key, finding } = placeFinding(accepted, balancer, { severity: "error", message, origin });
  const found = sources.get(key)?.diagnose(finding);
  return found === undefined ? message : `${found.file}:${found.line}:${found.column}: ${found.message}`;
}
