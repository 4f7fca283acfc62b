import { Executor } from "../balance/executor.ts";
import type { Finding, Path } from "../config/source.ts";
import type { Node } from "../model/node.ts";
import type { HostFacts } from "../plugin/contract.ts";
import type { Accepted } from "./accept.ts";
import { wish } from "./derive.ts";

/** A member for each cluster, so that what is said of members is judged too: an address for documentation (RFC 5737). */
const SAMPLE: Node = { host: "sample.invalid", ip: "192.0.2.1", port: 65_535, metadata: {} };
/** A host to render for. */
const HOST: HostFacts = { fqdn: "sample.invalid", ip: "192.0.2.1" };
/** How long a balancer's program may take to judge a file. */
const JUDGE_DEADLINE_MS = 10_000;

/** What a balancer has against a config, and where in the config directory. */
export interface Judgement {
  /** The file: `clusters/web`. */
  readonly key: string;
  readonly finding: Finding;
}

/**
 * Renders what each balancer would be given, with a sample member in each
 * cluster, and has its own program judge it: what only a running writer would
 * find otherwise. A program that is not installed judges nothing. Writes to a
 * temporary directory alone.
 */
export async function judgeBalancers(accepted: Accepted): Promise<readonly Judgement[]> {
  const found: Judgement[] = [];
  for (const name of accepted.balancers.keys()) found.push(...await judge(name, accepted));
  return found;
}

async function judge(name: string, accepted: Accepted): Promise<readonly Judgement[]> {
  const balancer = accepted.balancers.get(name);
  if (balancer === undefined) return [];
  const { plugin, config } = balancer;
  const effects = new Executor();
  const signal = AbortSignal.timeout(JUDGE_DEADLINE_MS);
  const sources = plugin.sources(config);
  const members = new Map([...accepted.clusters.values()].map(({ cluster }) => [cluster.name, [SAMPLE]]));
  const version = await effects.version(sources.program, signal);
  const wanted = { ...wish(name, balancer, accepted, members, HOST), version };
  const rendered = plugin.render(wanted);
  const at = (cluster: string | undefined, severity: Finding["severity"], message: string): Judgement => {
    const file = [...accepted.clusters].find(([, { cluster: { name } }]) => name === cluster)?.[0];
    if (file === undefined) {
      const path = findQuoted(balancer.file.config, message) ?? [];
      return { key: `balancers/${name}`, finding: { severity, path, at: "value", message } };
    }
    const path = findQuoted(accepted.clusters.get(file)?.cluster.balancers.get(name), message);
    const finding = {
      severity,
      path: [name, ...path ?? []],
      at: path === undefined ? "key" : "value",
      message,
    } as const;
    return { key: `clusters/${file}`, finding };
  };
  const found = rendered.notices.map((notice) =>
    at(/^(?:[Cc]luster|backend|frontend) ([^\s:]+)/.exec(notice)?.[1], "warning", notice)
  );
  if (version === undefined) return found;
  const steps = plugin.plan(wanted, rendered, plugin.observe({}, config), { reload: true });
  const dir = await Deno.makeTempDir({ prefix: "lighthouse-check-" });
  try {
    const installs = steps.filter((step) => step.do === "install").map((step) => ({
      ...step,
      path: `${dir}/candidate`,
    }));
    for (const outcome of await effects.execute(installs, sources, signal)) {
      if (outcome.ok || outcome.failure.kind !== "refused") continue;
      const { cluster, message } = plugin.explain?.(rendered, outcome.failure.message) ??
        { cluster: undefined, message: outcome.failure.message };
      found.push(at(cluster, "error", `${name} refuses it: ${message.replaceAll(`${dir}/candidate`, sources.file)}`));
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  return found;
}

/** Finds the text that a message quotes in a config: where the operator wrote it. Pure. */
export function findQuoted(config: unknown, message: string): Path | undefined {
  for (const [, quoted = ""] of message.matchAll(/"([^"]+)"/g)) {
    const path = pathOf(config, quoted);
    if (path !== undefined) return path;
  }
  return undefined;
}

function pathOf(value: unknown, wanted: string): Path | undefined {
  if (typeof value === "string") return value.trim() === wanted.trim() ? [] : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const path = pathOf(inner, wanted);
    if (path !== undefined) return [Array.isArray(value) ? Number(key) : key, ...path];
  }
  return undefined;
}
