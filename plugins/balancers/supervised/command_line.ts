import type { Wanted, WantedNode } from "../../../mod.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import type { SupervisedConfig } from "./config.ts";

/** The command line of the program for these members; empty if it is not to run. */
export function commandLine({ config, clusters, host }: Wanted<SupervisedConfig>): readonly string[] {
  const { command, whenEmpty } = config;
  const own = { host: host.fqdn, ip: host.ip };
  const repeats = command.flatMap((part) => typeof part === "string" ? [] : [part.each]);
  const serving = new Map(clusters.map(({ name, nodes }) => [name, nodes.filter(isServing)]));
  const isEmpty = repeats.length > 0 && repeats.every((name) => (serving.get(name) ?? []).length === 0);
  if (isEmpty && whenEmpty === "stop") return [];
  return command.flatMap((part) => {
    if (typeof part === "string") return [filled(part, own)];
    const nodes = serving.get(part.each) ?? [];
    const total = nodes.reduce((sum, node) => sum + pull(node), 0);
    return nodes.flatMap((each) => {
      const { node: { host, ip, port } } = each;
      const values = {
        cluster: part.each,
        host,
        ip,
        port: String(port),
        address: formatEndpoint({ host: ip, port }),
        weight: String(pull(each)),
        share: String(Math.round(100 * pull(each) / total)),
      };
      return part.arguments.map((argument) => filled(argument, values));
    });
  });
}

function isServing({ state, pool, weight }: WantedNode): boolean {
  return state === "ready" && pool === "primary" && weight !== 0;
}

function pull({ weight, settledWeight }: WantedNode): number {
  return Math.max(1, settledWeight ?? weight ?? 1);
}

function filled(text: string, values: { readonly [name: string]: string }): string {
  return text.replaceAll(/\{([a-z_]+)\}/g, (all, name) => Object.hasOwn(values, name) ? values[name] ?? all : all);
}
