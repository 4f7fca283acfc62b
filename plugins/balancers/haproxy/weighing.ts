import type { Weighing } from "../../../mod.ts";
import { backendTraits } from "./backend.ts";
import type { HaproxyCluster, HaproxyConfig } from "./config.ts";
import { words } from "./words.ts";

/**
 * Whether weights decide how much each server of a cluster gets: some of HAProxy's algorithms ignore them.
 */
export function weighing(
  { defaults, directives }: Pick<HaproxyConfig, "defaults" | "directives">,
  { backend, serverOptions }: Pick<HaproxyCluster, "backend" | "serverOptions">,
): Weighing {
  const { algorithm, isHashed, lacksHashType, takesServers, defaultOptions, balance } = backendTraits(
    defaults,
    backend,
  );
  const path = backend.some((line) => words(line)[0] === "balance") ? ["backend"] : [];
  const no = (reason: string): Weighing => ({ by: "other", path, reason });
  if (algorithm === "first") return no('"balance first" ignores weights: one server after another is filled');
  if (algorithm === "static-rr") {
    return no('"balance static-rr" cannot change weights at run time; use "balance roundrobin"');
  }
  // A hash type that is added here does not make a share of the clients of one address.
  const isMapped = isHashed && !takesServers && !(lacksHashType && directives !== "predecessor");
  if (isMapped || (algorithm === "source" && lacksHashType)) {
    return no(`"balance ${balance}" cannot change weights at run time; use "hash-type consistent"`);
  }
  if ([...defaultOptions, ...words(serverOptions)].includes("agent-check")) {
    const reason = "an agent check controls the weight of its server";
    return { by: "other", path: words(serverOptions).includes("agent-check") ? ["server_options"] : [], reason };
  }
  return { by: "weight", movesKeys: isHashed };
}
