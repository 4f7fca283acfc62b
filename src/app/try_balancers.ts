import { Executor } from "../balance/executor.ts";
import { type Trial, tryOut } from "../balance/try_out.ts";
import { findSharedPaths, findWritingObstacles } from "../balance/written_paths.ts";
import type { Node } from "../model/node.ts";
import type { BalancerSources, HostFacts, Listening, Wanted } from "../plugin/contract.ts";
import { UndecidedError } from "../plugin/decider.ts";
import type { Accepted, AcceptedBalancer } from "../config/accepted.ts";
import { composeWanted } from "../membership/wanted.ts";
import { type PlacedFinding, placeFinding } from "../config/place.ts";

/** A member for each cluster, so that what is said of members is judged too: an address for documentation (RFC 5737). */
const SAMPLE: Node = { host: "sample.invalid", ip: "192.0.2.1", port: 65_535, metadata: {} };
/** A host to render for. */
const HOST: HostFacts = { fqdn: "sample.invalid", ip: "192.0.2.1" };
/** How long a balancer's program may take to check a config, with all that it makes necessary to leave out. */
const TRY_DEADLINE_MS = 20_000;

/** How severe a trial is. */
export interface TryOptions {
  /** Whether a program that cannot be asked is a warning. */
  readonly strict?: boolean | undefined;
  /** Whether a name that cannot be resolved here is none of the config's faults. */
  readonly ignoresNames?: boolean | undefined;
  /** Whether what is in the way of writing a balancer's files is said, too. */
  readonly looksAtPaths?: boolean | undefined;
}

/**
 * Renders what each balancer would be given, with a sample member in each
 * cluster, and has its own program check it: what only a running writer would
 * find otherwise. That a program is not installed, and so judges nothing, is
 * said. Writes to a temporary directory alone.
 */
export async function tryBalancers(
  accepted: Accepted,
  options: TryOptions = {},
): Promise<readonly PlacedFinding[]> {
  const found: PlacedFinding[] = [];
  const looked = new Map<string, BalancerSources>();
  for (const [name, balancer] of accepted.balancers) {
    try {
      found.push(...await tryBalancer(name, balancer, accepted, options));
      if (!options.looksAtPaths) continue;
      const sources = await balancer.plugin.sources(balancer.config);
      looked.set(name, sources);
      for (const obstacle of await findWritingObstacles(sources)) {
        found.push(placeFinding(accepted, name, { ...obstacle, origin: undefined }));
      }
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      found.push(placeFinding(accepted, name, { severity: "error", message: error.message, origin: undefined }));
    }
  }
  for (const { balancer, message } of await findSharedPaths(looked)) {
    found.push(placeFinding(accepted, balancer, { severity: "error", message, origin: undefined }));
  }
  return found;
}

async function tryBalancer(
  name: string,
  balancer: AcceptedBalancer,
  accepted: Accepted,
  { strict = false, ignoresNames = false }: TryOptions,
): Promise<readonly PlacedFinding[]> {
  const members = new Map([...accepted.clusters.values()].map(({ cluster }) => [cluster.name, [SAMPLE]]));
  const asked = composeWanted(name, balancer, accepted, members, HOST);
  const { target, refusals, isAsked, output } = await tryWanted(asked, balancer);
  const refused = refusals.flatMap(({ cluster, faults }) =>
    faults.filter(({ unresolved }) => !ignoresNames || unresolved === undefined).map((
      { message, origin = { cluster, path: [] } },
    ) => placeFinding(accepted, name, { severity: "error", message: `rejected by ${name}: ${message}`, origin }))
  );
  // What is rejected for good is reported in each round.
  const found = new Map(refused.map((finding) => [JSON.stringify(finding), finding]));
  const rendered = await balancer.plugin.render(target);
  const { notices: told, faults = [] } = rendered;
  const unrendered = faults.map(({ text, origin, isOfData = false }) =>
    placeFinding(accepted, name, { severity: isOfData ? "notice" : "error", message: text, origin })
  );
  const notices = told.map(({ text, origin }) =>
    placeFinding(accepted, name, { severity: "warning", message: text, origin })
  );
  const warnings = (output ?? "").split("\n").filter((line) => /\bwarn(?:ing)?\b/i.test(line)).join("\n");
  const explained = warnings === "" ? undefined : await balancer.plugin.explain?.(rendered, warnings);
  const warned = (explained?.faults ?? []).map(({ message, origin = { cluster: explained?.cluster, path: [] } }) =>
    placeFinding(accepted, name, { severity: "warning", message: `${name} warns: ${message}`, origin })
  );
  const sources = await balancer.plugin.sources(balancer.config);
  const program = sources.kind === "process" ? sources.program : "its check command";
  const unasked = isAsked ? [] : [
    placeFinding(accepted, name, {
      severity: strict ? "warning" : "notice",
      message: `Not validated by ${name}: cannot run ${program} on this host, so invalid lines may go undetected`,
      origin: undefined,
    }),
  ];
  return [
    ...found.values(),
    ...unrendered,
    ...notices,
    ...warned,
    ...unasked,
    ...openListeners(name, balancer, accepted),
  ];
}

/** Says that clusters are served on all addresses where nobody asked for that. */
function openListeners(name: string, balancer: AcceptedBalancer, accepted: Accepted): readonly PlacedFinding[] {
  const ports = [...accepted.clusters.values()].flatMap(({ sections }) => {
    const listens = sections.has(name) ? balancer.plugin.listens?.(balancer.config, sections.get(name)) : undefined;
    // A plugin that does not ship answers later; where it listens is its own matter.
    return Array.isArray(listens) ? (listens as readonly Listening[]) : [];
  }).filter(({ host }) => host === "").map(({ port }) => port);
  if (ports.length === 0) return [];
  const shown = [...new Set(ports)].toSorted((a, b) => a - b);
  const list = `${shown.slice(0, 5).join(", ")}${shown.length > 5 ? " …" : ""}`;
  const message = `bind_address is not set; frontends listen on all addresses of this host (ports ${list})`;
  return [placeFinding(accepted, name, { severity: "notice", message, origin: undefined })];
}

/** Has a balancer's program check the desired state; answers as much of it as it takes, and what it has against the rest. */
export async function tryWanted(asked: Wanted, { plugin }: AcceptedBalancer): Promise<Trial<unknown, unknown>> {
  const dir = await Deno.makeTempDir({ prefix: "lighthouse-check-" });
  try {
    return await tryOut(asked, {
      balancer: plugin,
      effects: new Executor(),
      candidate: `${dir}/candidate`,
      signal: AbortSignal.timeout(TRY_DEADLINE_MS),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
