import { counted } from "../kernel/counted.ts";
import { type ClusterSource, findClusterSources } from "../app/cluster_source.ts";
import { type CombinedFacts, combineFacts } from "../app/combined_facts.ts";
import type { Identity } from "../app/host_facts.ts";
import { RegistryConnection } from "../app/registry_connection.ts";
import { readDirectory } from "../app/validate.ts";
import type { HostSettings } from "../config/desired.ts";
import type { Clock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Random } from "../kernel/random.ts";
import { abortable } from "../kernel/within.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { ClusterSnapshot } from "../model/topology.ts";
import { EXIT } from "./exit_codes.ts";
import { changesOf, formatJson, formatNode, selectNodes, type Template } from "./node_listing.ts";
import { complainOfConfig } from "./config_complaint.ts";

/** The arguments of `nodes`. */
export interface NodesArguments {
  readonly cluster: string;
  /** The source to ask; else all of the cluster. */
  readonly source?: string | undefined;
  readonly watch: boolean;
  readonly json: boolean;
  /** How a node's line looks. */
  readonly format?: Template | undefined;
  /** Whether this host's own nodes are left out. */
  readonly others: boolean;
  readonly one: boolean;
  /** How many nodes are waited for. */
  readonly wait?: number | undefined;
  readonly timeoutMs: number;
}

/** The functions of the process that `nodes` needs. */
export interface NodesOptions {
  readonly dir: string;
  /** Determines the identity of this host, given the settings of `host.yaml`. */
  readonly identify: (said: HostSettings) => Promise<Identity>;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends a watch. */
  readonly signal: AbortSignal;
  /** Receives each line of output, without a newline. */
  readonly print: (line: string) => void;
  /** Receives each error line. */
  readonly complain: (line: string) => void;
}

/** Prints the nodes of a cluster from one registry, or from all its registries together; returns the exit code. */
export async function listNodes(given: NodesArguments, options: NodesOptions): Promise<number> {
  const { cluster, timeoutMs } = given;
  const { dir, identify, clock, random, signal, print, complain } = options;
  const directory = await readDirectory(dir);
  if (directory.accepted === undefined) return complainOfConfig(directory, { complain });
  const { accepted } = directory;
  const found = findClusterSources(accepted, cluster, given.source);
  if (!found.ok) return complainOfConfig(directory, { reason: found.reason, complain });
  const { sources, combine } = found;
  const fileOf = ({ discovery }: ClusterSource) => `discovery/${discovery.file.name}.yaml`;
  const file = [...new Set(sources.map(fileOf))].join(", ");
  const without = given.others ? (await identify(accepted.host)).facts : undefined;
  const said = new Map<string, ClusterSnapshot>();
  const listed = (): CombinedFacts =>
    combineFacts(sources.map(({ name }) => ({ name, facts: said.get(name) })), combine);
  const select = ({ nodes }: CombinedFacts, { one }: { readonly one: boolean }) => selectNodes(nodes, { without, one });
  const page = new Page(given, { discovery: sources.map(({ name }) => name).join(", "), print });
  let isShown = false;
  const enough = Promise.withResolvers<void>();
  const connect = (source: ClusterSource) =>
    new RegistryConnection({
      source,
      isWatching: true,
      clock,
      random,
      events: {
        onFacts(newest) {
          said.set(source.name, newest);
          if (isShown) page.show(listed(), select(listed(), given));
          else if (said.size === sources.length && select(listed(), { one: false }).length >= (given.wait ?? 0)) {
            enough.resolve();
          }
        },
        onInvalid(reason) {
          page.invalid.push(reason);
          if (!given.json) complain(`Invalid node in cluster ${cluster}: ${reason}`);
          // It may change no node, so that no facts follow.
          else if (isShown && said.size > 0) page.show(listed(), select(listed(), given));
        },
        onTrouble(reason) {
          if (!isShown) return;
          const trouble = reason === undefined ? "connected again" : `registry unreachable: ${reason}; still watching`;
          complain(`${fileOf(source)}: ${trouble}`);
        },
      },
    });
  await using stack = new AsyncDisposableStack();
  const connections = sources.map((source) => ({ source, connection: stack.use(connect(source)) }));
  using late = deadline(timeoutMs, { clock, signal });
  await abortable(enough.promise, late.signal).catch(() => {});
  const within = `within ${formatDuration(timeoutMs)} (--timeout)`;
  const silent = connections.filter(({ source }) => !said.has(source.name));
  for (const { source, connection: { trouble } } of silent) {
    const reason = trouble === undefined ? "no response" : `registry unreachable: ${trouble}`;
    complain(`Cannot read cluster ${cluster} from ${fileOf(source)} ${within}: ${reason}`);
  }
  if (said.size === 0) return EXIT.failed;
  page.show(listed(), select(listed(), given));
  isShown = true;
  const count = select(listed(), { one: false }).length;
  const shortage = shortageOf({ exists: listed().exists, count, given, within, file });
  if (shortage !== undefined) complain(shortage);
  if (!given.watch) return shortage === undefined && silent.length === 0 ? EXIT.ok : EXIT.failed;
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  return EXIT.ok;
}

/** Describes what a registry lacks; `undefined` if it has the requested nodes. Pure. */
function shortageOf({ exists, count, given, within, file }: {
  readonly exists: boolean;
  /** How many nodes there are to choose from. */
  readonly count: number;
  readonly given: NodesArguments;
  readonly within: string;
  readonly file: string;
}): string | undefined {
  const { cluster, others, wait = 1 } = given;
  if (count >= Math.max(wait, 1)) return undefined;
  if (!exists) return `No cluster ${cluster} in the registry of ${file}`;
  const besides = others ? " on other hosts" : "";
  const seen = `Cluster ${cluster} has ${count === 0 ? "no nodes" : counted(count, "node")}${besides}`;
  return wait > 1 || given.wait !== undefined ? `${seen} ${within}, expected ${wait} (--wait)` : `${seen} in ${file}`;
}

/** What was printed last, and what there is to print next. */
class Page {
  /** What was left out since the last line, and why. */
  readonly invalid: string[] = [];
  readonly #given: NodesArguments;
  readonly #options: { readonly discovery: string; readonly print: (line: string) => void };
  #last: readonly Node[] = [];
  #lastText = "";

  constructor(given: NodesArguments, options: { readonly discovery: string; readonly print: (line: string) => void }) {
    this.#given = given;
    this.#options = options;
  }

  /** Prints the nodes, or what has changed of them. */
  show({ exists, owners }: CombinedFacts, nodes: readonly Node[]): void {
    const { cluster, watch, json, format } = this.#given;
    const { discovery, print } = this.#options;
    if (json) {
      const listed = owners === undefined
        ? nodes
        : nodes.map((node) => ({ ...node, sources: owners.get(nodeName(node)) ?? [] }));
      const text = formatJson({ cluster, discovery, exists, nodes: listed });
      const invalid = this.invalid.splice(0);
      if (text === this.#lastText && invalid.length === 0) return;
      this.#lastText = text;
      return print(formatJson({ cluster, discovery, exists, nodes: listed, invalid }));
    }
    for (const { sign, node } of changesOf(this.#last, nodes)) {
      const from = owners?.get(nodeName(node));
      print(`${watch ? `${sign} ` : ""}${formatNode(node, format, from)}`);
    }
    this.#last = nodes;
  }
}
