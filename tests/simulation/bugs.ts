import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import type { BalancerPlugin, Step, Wanted, WantedNode } from "../../src/plugin/contract.ts";
import type { WriterDecide } from "../../src/balance/writer.ts";
import { MISTAKES } from "../support/mistaken_decide.ts";
import type { SimHostWorld } from "./sim_threads.ts";

/** A bug to plant in a world, to see that it is found. */
export interface Bug {
  /** What it does wrong. */
  readonly name: string;
  /** What the checker has to say of it. */
  readonly found: RegExp;
  /** A balancer that decides wrongly. */
  readonly plugin?: BalancerPlugin;
  /** A writer that decides wrongly. */
  readonly decide?: WriterDecide;
  /** A discovery that is wrong. */
  readonly discovery?: NonNullable<SimHostWorld["bug"]>;
  /** How long the last verdict of a check stands while it cannot be made. */
  readonly unknownGraceMs?: number;
  /** Whether an end that is restarted is taken for one that is meant. */
  readonly deregistersOnFailure?: true;
  /** Whether the writer is told old news of the balancer, so that nothing heals. */
  readonly looksOnce?: true;
}

const sound = haproxy as never as BalancerPlugin;

/** The same members, of which none says what it is to get. */
function withoutShares(wanted: Wanted): Wanted {
  const plain = ({ node }: WantedNode): WantedNode => ({ node, state: "ready", pool: "primary" });
  return { ...wanted, clusters: wanted.clusters.map((c) => ({ ...c, nodes: c.nodes.map(plain) })) };
}

/** The plugin as it changes members without a look, but for reads that it leaves out. */
function withoutReads(isLeftOut: (command: string) => boolean): BalancerPlugin {
  return {
    ...sound,
    shortcut: (...args) => {
      const found = sound.shortcut?.(...args);
      return found && { ...found, steps: found.steps.filter(({ command }) => !isLeftOut(command)) };
    },
  };
}

/** The members that each cluster had when it was first seen to have some, by the config of a world. */
const firstMembers = new WeakMap<object, Map<string, readonly WantedNode[]>>();

/** The same clusters, each with the members that it had at first. */
function withFirstMembers(wanted: Wanted): Wanted {
  const known = firstMembers.get(wanted.config as object) ?? new Map<string, readonly WantedNode[]>();
  firstMembers.set(wanted.config as object, known);
  for (const { name, nodes } of wanted.clusters) if (nodes.length > 0 && !known.has(name)) known.set(name, nodes);
  return { ...wanted, clusters: wanted.clusters.map((c) => ({ ...c, nodes: known.get(c.name) ?? c.nodes })) };
}

/** The bugs, each caught by another promise. */
export const BUGS: readonly Bug[] = [
  { name: "takes an outage for emptiness", discovery: "empty when out of reach", found: /no registry has said/ },
  {
    name: "takes a check that cannot run for a service that is down",
    unknownGraceMs: 0,
    found: /is taken back|is absent/,
  },
  { name: "deregisters as it is to be restarted", deregistersOnFailure: true, found: /left the registry/ },
  { name: "hears no more after an outage", discovery: "deaf after reconnect", found: /HAProxy serves|no registry/ },
  {
    name: "says that it has registered, and has not",
    discovery: "registers nothing",
    found: /not registered|are registered/,
  },
  {
    name: "sends a change of another base than the host has",
    discovery: "changes on another base",
    found: /no registry has said|HAProxy serves/,
  },
  {
    name: "reloads for members",
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
    name: "keeps no rate of reloads",
    plugin: { ...sound, sources: (config) => ({ ...sound.sources(config), reloadIntervalMs: 0 }) },
    found: /two reloads are/,
  },
  {
    name: "leaves the file behind",
    plugin: {
      ...sound,
      plan: (...args) => sound.plan(...args).filter((step) => step.do !== "install" || step.when === "now"),
    },
    found: /the file is not what runs|but the file has/,
  },
  {
    name: "writes what it has read of a node as it is",
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
    found: /not validated/,
  },
  {
    name: "knows no weight and no state",
    plugin: {
      ...sound,
      render: (wanted) => sound.render(withoutShares(wanted)),
      plan: (wanted, ...rest) => sound.plan(withoutShares(wanted), ...rest),
    },
    found: /though its node says/,
  },
  {
    name: "keeps the state of members out of its file",
    plugin: { ...sound, render: (wanted) => sound.render(withoutShares(wanted)) },
    found: /the file is not what runs|in the file, and/,
  },
  {
    name: "forgets the last member",
    plugin: {
      ...sound,
      render: (wanted) =>
        sound.render({ ...wanted, clusters: wanted.clusters.map((c) => ({ ...c, nodes: c.nodes.slice(0, -1) })) }),
    },
    found: /no registry has said|the file is not what runs|but the file has/,
  },
  {
    name: "does not read back what it touches",
    plugin: withoutReads((command) => command.startsWith("show stat")),
    found: /is taken to be/,
  },
  {
    name: "does not ask whether the process that it commands serves",
    plugin: withoutReads((command) => command === "show info"),
    found: /is taken to be/,
  },
  {
    name: "keeps what it has made of a cluster though the members are others",
    plugin: {
      ...sound,
      render: (wanted) => sound.render(withFirstMembers(wanted)),
      plan: (wanted, ...rest) => sound.plan(withFirstMembers(wanted), ...rest),
      shortcut: () => undefined,
    },
    found: /HAProxy serves|no registry has said|the file is not what runs|but the file has/,
  },
  { name: "never looks again", looksOnce: true, found: /HAProxy serves|but the file has|the file is not/ },
  mistake("forgets the rate of reloads", /two reloads are/),
  mistake("looks once", /another weight|frontends are closed|HAProxy serves|but the file has/),
  mistake("loses the file that waits", /but the file has|the file is not what runs/),
  mistake("drops a desired state that comes", /HAProxy serves|no registry has said/),
  mistake(
    "looks no more once it has taken a shortcut",
    /HAProxy serves|but the file has|the file is not|frontends are closed/,
  ),
  mistake("acts in a pause", /the management is paused, and yet/),
  mistake("does not notice who serves", /HAProxy serves|HAProxy does not run/),
];

/** A writer that decides with a mistake. */
function mistake(name: keyof typeof MISTAKES, found: RegExp): Bug {
  return { name: `decides wrongly: it ${name}`, found, decide: MISTAKES[name] };
}

function reload(reason: string): Step {
  return { do: "reload", reason, listens: [], how: { run: ["haproxy"] } };
}
