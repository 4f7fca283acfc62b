/**
 * The functions of each kind of plugin: which ones a plugin must have, how a
 * worker calls them and what their results must be. Messages, the worker's dispatch,
 * the host's validation and its proxy, and the check of a plugin's shape follow
 * from this table.
 *
 * @module
 */
import { isRecord } from "../model/node.ts";
import type {
  BalancerPlugin,
  DiscoveryCapability,
  DiscoverySession,
  PlanAllowance,
  Plugin,
  Rendered,
  Scope,
  Seen,
  Wanted,
} from "../plugin/contract.ts";
import {
  clusterNames,
  counters,
  explanation,
  inputs,
  listenings,
  members,
  nodeDetails,
  nodesDown,
  pid,
  rendered,
  sources,
  steps,
  weighing,
} from "./validate_balancer.ts";
import { permissions } from "./values.ts";

/** One function of a kind, as the host calls it. */
interface PluginFunction<Of, Given, Answer> {
  /** Whether every plugin of the kind has it. */
  readonly isRequired: boolean;
  /** Calls it in the worker, with whatever it needs that does not cross the wire. Throws what it throws. */
  readonly call: (plugin: Of, given: Given) => Answer;
  /** Converts its result to JSON data. An invalid result stays unchanged, for `take` to reject. */
  readonly encode?: (answer: Answer) => unknown;
  /** Total length of the files' texts in its result: these cross whole, and cost the host almost nothing. */
  readonly filesLength?: (answer: Answer) => number;
  /** Validates a result in the host. Throws an `InvalidMessage` if it is invalid. */
  readonly take: (answer: Record<string, unknown>) => Answer;
}

function required<Given, Answer>(
  entry: Omit<PluginFunction<BalancerPlugin, Given, Answer>, "isRequired">,
): PluginFunction<BalancerPlugin, Given, Answer> {
  return { isRequired: true, ...entry };
}

function optional<Given, Answer>(
  entry: Omit<PluginFunction<BalancerPlugin, Given, Answer>, "isRequired">,
): PluginFunction<BalancerPlugin, Given, Answer> {
  return { isRequired: false, ...entry };
}

interface Looked {
  readonly seen: Seen;
  readonly config: unknown;
}

/**
 * The functions of a balancer's plugin. Its observation stays in the worker and is never kept: it is
 * parsed again from what was seen, so that any worker can answer any question.
 */
const BALANCER = {
  /** Where to look, and the requested permissions. */
  sources: required({
    call: (plugin, { config, scope }: { readonly config: unknown; readonly scope: Scope }) => ({
      sources: plugin.sources(config),
      permissions: plugin.permissions(config, scope),
    }),
    take: (answer) => ({ sources: sources(answer.sources), permissions: permissions(answer.permissions) }),
  }),
  /** What it renders besides the clusters with a section for it. */
  inputs: optional({
    call: (plugin, { config }: { readonly config: unknown }) => ({ inputs: plugin.inputs?.(config) ?? {} }),
    take: (answer) => ({ inputs: inputs(answer.inputs) }),
  }),
  /** The clusters that its files were made of, if it cannot read their members; `undefined` if it can. */
  servedBy: optional({
    call: (plugin, { files, config }: { readonly files: ReadonlyMap<string, string>; readonly config: unknown }) => ({
      clusters: plugin.servedBy?.(files, config),
    }),
    take: (answer) => ({ clusters: answer.clusters === undefined ? undefined : clusterNames(answer.clusters) }),
  }),
  /** Where it would listen, for the section of a cluster if given: the number of arguments shows it. */
  listens: optional({
    call: (plugin, { config, section }: {
      readonly config: unknown;
      readonly section?: { readonly config: unknown } | undefined;
    }) => ({
      listens: (section === undefined ? plugin.listens?.(config) : plugin.listens?.(config, section.config)) ?? [],
    }),
    take: (answer) => ({ listens: listenings(answer.listens) }),
  }),
  /** Whether weights decide which node of a cluster gets how much. */
  weighing: optional({
    call: (plugin, { config, section }: { readonly config: unknown; readonly section: unknown }) => ({
      weighing: plugin.weighing?.(config, section) ?? { by: "weight", movesKeys: false } as const,
    }),
    take: (answer) => ({ weighing: weighing(answer.weighing) }),
  }),
  pid: required({
    call: (plugin, { answers }: { readonly answers: readonly string[] }) => ({ pid: plugin.pid(answers) }),
    take: (answer) => ({ pid: answer.pid === undefined ? undefined : pid(answer.pid) }),
  }),
  /** Whether it can parse what was seen. */
  observe: required({
    call: (plugin, { seen, config }: Looked) => {
      plugin.observe(seen, config);
      return {};
    },
    take: () => ({}),
  }),
  adopt: required({
    call: (plugin, { files, config }: { readonly files: ReadonlyMap<string, string>; readonly config: unknown }) => ({
      members: plugin.adopt(files, config),
    }),
    encode: ({ members }) => ({ members: pairs(members) }),
    take: (answer) => ({ members: members(answer.members) }),
  }),
  adoptRunning: optional({
    call: (plugin, { seen, config }: Looked) => ({
      members: plugin.adoptRunning?.(plugin.observe(seen, config)) ?? new Map(),
    }),
    encode: ({ members }) => ({ members: pairs(members) }),
    take: (answer) => ({ members: members(answer.members) }),
  }),
  nodesDown: optional({
    call: (plugin, { seen, config }: Looked) => ({
      down: plugin.nodesDown?.(plugin.observe(seen, config)) ?? new Map(),
    }),
    encode: ({ down }) => ({ down: pairs(down) }),
    take: (answer) => ({ down: nodesDown(answer.down) }),
  }),
  /** For an operator alone. */
  nodeDetails: optional({
    call: (plugin, { answers }: { readonly answers: readonly string[] }) => ({
      details: plugin.nodeDetails?.(answers) ?? new Map(),
    }),
    encode: ({ details }) => ({ details: pairs(details) }),
    take: (answer) => ({ details: nodeDetails(answer.details) }),
  }),
  counters: optional({
    call: (plugin, { answers }: { readonly answers: readonly string[] }) => ({
      counters: plugin.counters?.(answers),
    }),
    take: (answer) => ({ counters: answer.counters === undefined ? undefined : counters(answer.counters) }),
  }),
  render: required({
    call: (plugin, { wanted }: { readonly wanted: Wanted }) => ({ rendered: plugin.render(wanted) }),
    encode: ({ rendered }) => ({ rendered: { ...rendered, files: filePairs(rendered?.files) } }),
    filesLength: ({ rendered }) => {
      const files: unknown = rendered?.files;
      return files instanceof Map ? sum([...files.values()].map((file) => isRecord(file) ? length(file.text) : 0)) : 0;
    },
    take: (answer) => ({ rendered: rendered(answer.rendered) }),
  }),
  plan: required({
    call: (plugin, { wanted, rendered, seen, config, allowed }: Looked & {
      readonly wanted: Wanted;
      readonly rendered: Rendered;
      readonly allowed: PlanAllowance;
    }) => ({ steps: plugin.plan(wanted, rendered, plugin.observe(seen, config), allowed) }),
    filesLength: ({ steps }) =>
      Array.isArray(steps) ? sum(steps.map((step) => step?.do === "install" ? length(step.contents) : 0)) : 0,
    take: (answer) => ({ steps: steps(answer.steps) }),
  }),
  /** Nothing, if it has no explanation. */
  explain: optional({
    call: (plugin, { rendered, output }: { readonly rendered: Rendered; readonly output: string }) => ({
      explanation: plugin.explain?.(rendered, output),
    }),
    take: (answer) => ({
      explanation: answer.explanation === undefined ? undefined : explanation(answer.explanation),
    }),
  }),
} as const;

type Balancer = typeof BALANCER;

/** The name of a function of a balancer's plugin. */
type Asked = keyof Balancer;

/** A question to a balancer's plugin: a function of the contract, and its arguments. */
export type Question = {
  [Ask in Asked]: { readonly ask: Ask } & Parameters<Balancer[Ask]["call"]>[1];
}[Asked];

/** The answer of a balancer's plugin to a {@linkcode Question}. */
export type BalancerAnswer = {
  [Ask in Asked]: { readonly ask: Ask } & ReturnType<Balancer[Ask]["call"]>;
}[Asked];

/** The function of this name; `undefined` if there is none. */
function entryOf(ask: unknown): PluginFunction<BalancerPlugin, unknown, object> | undefined {
  if (typeof ask !== "string" || !Object.hasOwn(BALANCER, ask)) return undefined;
  // Arguments and results match by the table; here only the name is known.
  return BALANCER[ask as Asked] as unknown as PluginFunction<BalancerPlugin, unknown, object>;
}

/** Lets a balancer's plugin answer a question of the host. Throws what it throws. */
export function answerQuestion(plugin: BalancerPlugin, question: Question): BalancerAnswer {
  const entry = entryOf(question.ask);
  if (entry === undefined) throw new Error(`Cannot ask a balancer for ${question.ask}: unknown question`);
  return { ask: question.ask, ...entry.call(plugin, question) } as BalancerAnswer;
}

/** Converts a balancer's answer to JSON data: its maps become lists of pairs. */
export function encodeBalancerAnswer(answer: BalancerAnswer): unknown {
  const encoded = entryOf(answer.ask)?.encode?.(answer);
  return encoded === undefined ? answer : { ...answer, ...encoded };
}

/** Total length of the files' texts in an answer. */
export function filesLength(answer: BalancerAnswer): number {
  return entryOf(answer.ask)?.filesLength?.(answer) ?? 0;
}

/** Validates an answer of a balancer's plugin; `undefined` for an unknown function. Throws an `InvalidMessage`. */
export function takeBalancerAnswer({ ask, ...answer }: Record<string, unknown>): BalancerAnswer | undefined {
  const entry = entryOf(ask);
  return entry && { ask, ...entry.take(answer) } as BalancerAnswer;
}

/** The functions that every plugin of a kind has, besides `permissions`. */
export const REQUIRED_FUNCTIONS: { readonly [kind in Plugin["kind"]]: readonly string[] } = {
  check: ["probe"],
  discovery: ["open"],
  notifier: ["notify"],
  balancer: Object.entries(BALANCER).flatMap(([name, { isRequired }]) => isRequired ? [name] : []),
};

/** The functions that a discovery's session has for each of its capabilities. */
export const SESSION_FUNCTIONS = {
  watch: ["watch"],
  register: ["register", "deregister", "deregisterOwn"],
  keys: ["keys"],
} as const satisfies { readonly [capability in DiscoveryCapability]: readonly (keyof DiscoverySession)[] };

/** A function of a session that changes one node in its registry. */
export type RegistryChange = (typeof SESSION_FUNCTIONS)["register"][number];

/** All capabilities. */
export const CAPABILITIES = Object.keys(SESSION_FUNCTIONS) as readonly DiscoveryCapability[];

/** The first function that a session lacks for the capabilities of its plugin; `undefined` if it has them all. */
export function lackingFunction(
  capabilities: readonly DiscoveryCapability[],
  session: DiscoverySession,
): string | undefined {
  return capabilities.flatMap((each) => SESSION_FUNCTIONS[each] as readonly (keyof DiscoverySession)[])
    .find((name) => typeof session[name] !== "function") as string | undefined;
}

function pairs(value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}

function filePairs(files: unknown): unknown {
  if (!(files instanceof Map)) return files;
  return [...files].map(([path, file]) => [
    path,
    isRecord(file) && file.origins instanceof Map ? { ...file, origins: [...file.origins] } : file,
  ]);
}

function length(value: unknown): number {
  return typeof value === "string" ? value.length : 0;
}

function sum(lengths: readonly number[]): number {
  return lengths.reduce((all, each) => all + each, 0);
}
