import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import type { BalancerPlugin, Step, Wanted, WantedNode } from "../../src/plugin/contract.ts";
import type { WriterDecide } from "../../src/balance/writer.ts";
import { MISTAKES } from "../support/mistaken_decide.ts";
import type { SimHostWorld } from "./sim_threads.ts";

/** A bug planted in a world, which the checker must find. */
export interface Bug {
  /** The bug's behaviour. */
  readonly name: string;
  /** The fault that the checker reports for it. */
  readonly found: RegExp;
  /** A balancer plugin with the bug. */
  readonly plugin?: BalancerPlugin;
  /** A writer with the bug. */
  readonly decide?: WriterDecide;
  /** A discovery with the bug. */
  readonly discovery?: NonNullable<SimHostWorld["bug"]>;
  /** How long the last verdict stands while a check cannot be made. */
  readonly unknownGraceMs?: number;
  /** Whether a program that is to be restarted deregisters, as one that is stopped. */
  readonly deregistersOnFailure?: true;
  /** Whether the writer is shown stale state of the balancer, so that nothing is reconciled. */
  readonly looksOnce?: true;
}

const sound = haproxy as never as BalancerPlugin;

/** The same members, of which none says what it is to get. */
function withoutShares(wanted: Wanted): Wanted {
  const plain = ({ node }: WantedNode): WantedNode => ({ node, state: "ready", pool: "primary" });
  return { ...wanted, clusters: wanted.clusters.map((c) => ({ ...c, nodes: c.nodes.map(plain) })) };
}

/** The plugin, with commands for members but without the given reads. */
function withoutReads(isLeftOut: (command: string) => boolean): BalancerPlugin {
  return {
    ...sound,
    shortcut: (...args) => {
      const found = sound.shortcut?.(...args);
      return found && { ...found, steps: found.steps.filter(({ command }) => !isLeftOut(command)) };
    },
  };
}

/** The first members of each cluster, by the config of a world. */
const firstMembers = new WeakMap<object, Map<string, readonly WantedNode[]>>();

/** The same clusters, each with its first members. */
function withFirstMembers(wanted: Wanted): Wanted {
  const known = firstMembers.get(wanted.config as object) ?? new Map<string, readonly WantedNode[]>();
  firstMembers.set(wanted.config as object, known);
  for (const { name, nodes } of wanted.clusters) if (nodes.length > 0 && !known.has(name)) known.set(name, nodes);
  return { ...wanted, clusters: wanted.clusters.map((c) => ({ ...c, nodes: known.get(c.name) ?? c.nodes })) };
}

/** The bugs. Each breaks a promise of its own. */
export const BUGS: readonly Bug[] = [
  {
    name: "treats an unreachable registry as empty",
    discovery: "empty when unreachable",
    found: /no registry has said/,
  },
  {
    name: "treats a check that cannot run as failing",
    unknownGraceMs: 0,
    found: /is deregistered|is absent/,
  },
  { name: "deregisters before a restart", deregistersOnFailure: true, found: /left the registry/ },
  {
    name: "receives no changes after an outage",
    discovery: "deaf after reconnect",
    found: /HAProxy serves|no registry/,
  },
  {
    name: "reports a registration that it has not made",
    discovery: "registers nothing",
    found: /not registered|are registered/,
  },
  {
    name: "sends a change on a base that the host does not have",
    discovery: "changes on another base",
    found: /no registry has said|HAProxy serves/,
  },
  {
    name: "reloads for a membership change",
    plugin: {
      ...sound,
      plan: (wanted, rendered, observed, allowed) => {
        const steps = sound.plan(wanted, rendered, observed, allowed);
        const isMembership = allowed.reload &&
          steps.some((step) => step.do === "command" && /^add server/.test(step.command));
        return isMembership ? [reload("a member has come"), ...steps] : steps;
      },
    },
    found: /a reload for nothing but members/,
  },
  {
    name: "ignores the minimum time between reloads",
    plugin: { ...sound, sources: (config) => ({ ...sound.sources(config), reloadIntervalMs: 0 }) },
    found: /two reloads are/,
  },
  {
    name: "does not update the file",
    plugin: {
      ...sound,
      plan: (...args) => sound.plan(...args).filter((step) => step.do !== "install" || step.when === "now"),
    },
    found: /the file is not what runs|but the file has/,
  },
  {
    name: "writes metadata of a node without validation",
    plugin: {
      ...sound,
      render: (wanted) => {
        const rendered = sound.render(wanted);
        const nodes = wanted.clusters.flatMap(({ nodes }) => nodes);
        const notes = nodes.map(({ node }) => `# ${node.metadata.note ?? ""}\n`).join("");
        const files = [...rendered.files].map(([path, file]) => [path, { ...file, text: file.text + notes }] as const);
        return { ...rendered, files: new Map(files) };
      },
    },
    found: /unvalidated data/,
  },
  {
    name: "ignores weights and states",
    plugin: {
      ...sound,
      render: (wanted) => sound.render(withoutShares(wanted)),
      plan: (wanted, ...rest) => sound.plan(withoutShares(wanted), ...rest),
    },
    found: /though its node has|than its node/,
  },
  {
    name: "leaves the state of members out of its file",
    plugin: { ...sound, render: (wanted) => sound.render(withoutShares(wanted)) },
    found: /the file is not what runs|in the file, and/,
  },
  {
    name: "drops the last member",
    plugin: {
      ...sound,
      render: (wanted) =>
        sound.render({ ...wanted, clusters: wanted.clusters.map((c) => ({ ...c, nodes: c.nodes.slice(0, -1) })) }),
    },
    found: /no registry has said|the file is not what runs|but the file has/,
  },
  {
    name: "does not read back what it has changed",
    plugin: withoutReads((command) => command.startsWith("show stat")),
    found: /the writer takes/,
  },
  {
    name: "does not check that the process it commands is serving",
    plugin: withoutReads((command) => command === "show info"),
    found: /the writer takes/,
  },
  {
    name: "reuses a cluster's plan though its members have changed",
    plugin: {
      ...sound,
      render: (wanted) => sound.render(withFirstMembers(wanted)),
      plan: (wanted, ...rest) => sound.plan(withFirstMembers(wanted), ...rest),
      shortcut: () => undefined,
    },
    found: /HAProxy serves|no registry has said|the file is not what runs|but the file has/,
  },
  { name: "never polls the balancer again", looksOnce: true, found: /HAProxy serves|but the file has|the file is not/ },
  mistake("forgets the rate of reloads", /two reloads are/),
  mistake("polls once", /another weight|frontends are closed|HAProxy serves|but the file has/),
  mistake("loses the pending file", /but the file has|the file is not what runs/),
  mistake("drops a desired state that arrives", /HAProxy serves|no registry has said/),
  mistake(
    "stops polling after a shortcut",
    /HAProxy serves|but the file has|the file is not|frontends are closed/,
  ),
  mistake("acts in a pause", /Lighthouse is paused, and yet/),
  mistake("does not notice which process serves", /HAProxy serves|HAProxy does not run/),
];

/** A writer with a mistake in its decisions. */
function mistake(name: keyof typeof MISTAKES, found: RegExp): Bug {
  return { name, found, decide: MISTAKES[name] };
}

function reload(reason: string): Step {
  return { do: "reload", reason, listens: [], how: { run: ["haproxy"] } };
}
