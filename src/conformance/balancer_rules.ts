/**
 * Rules for every balancer: render the same for the same desired state, read back
 * what it rendered, and plan nothing where nothing is to be done.
 *
 * @module
 */
import type { Rendered, Wanted, WantedNode } from "../plugin/contract.ts";
import type { Awaitable, Decider } from "../plugin/decider.ts";
import { pluginRules, type Subject } from "./plugin_rules.ts";
import { must, type Rule } from "./rule.ts";

/** The functions of a balancer that rules call, wherever they run. */
export type Functions = Pick<
  Decider<unknown, unknown, unknown>,
  "sources" | "observe" | "adopt" | "servedBy" | "render" | "plan"
>;

/** The functions under test, and what they are given. */
type Subjected = NonNullable<BalancerSubject["functions"]>;

/** A balancer under test. */
export interface BalancerSubject extends Subject {
  /** Why its functions cannot be called, if they cannot. */
  readonly refusal?: string | undefined;
  /** A valid config, as an operator writes it. */
  readonly example: unknown;
  /** Its functions, with the same config and a cluster's section as its schemas answer them; if they can be called. */
  readonly functions?:
    | {
      readonly plugin: Functions;
      readonly config: unknown;
      readonly cluster: unknown;
      /** The answers of a balancer that runs what was rendered; a balancer without queries needs none. */
      readonly running?: (rendered: Rendered) => Awaitable<readonly string[]>;
    }
    | undefined;
}

function member(port: number): WantedNode {
  return {
    node: { host: "one.example", ip: "192.0.2.1", port, metadata: {} },
    state: "ready",
    pool: "primary",
  };
}

/** The texts of what was rendered, by path, as the host reads them back. */
function textsOf({ files }: Rendered): ReadonlyMap<string, string> {
  return new Map([...files].map(([path, { text }]) => [path, text]));
}

/** What is made of a desired state on an empty host: files, and where there are none the steps, to compare by. */
async function print({ plugin, config }: Pick<Subjected, "plugin" | "config">, wanted: Wanted): Promise<string> {
  const rendered = await plugin.render(wanted);
  const texts = [...textsOf(rendered)];
  if (texts.length > 0) return JSON.stringify(texts);
  return JSON.stringify(await plugin.plan(wanted, rendered, await plugin.observe({}, config), { reload: true }));
}

/** The files of a host on which a plan was carried out. */
async function filesAfter(
  { plugin, config }: Pick<Subjected, "plugin" | "config">,
  wanted: Wanted,
): Promise<ReadonlyMap<string, string>> {
  const rendered = await plugin.render(wanted);
  const steps = await plugin.plan(wanted, rendered, await plugin.observe({}, config), { reload: true });
  const installed = steps.flatMap((step) => step.do === "install" ? [[step.path, step.contents] as const] : []);
  return new Map([...textsOf(rendered), ...installed]);
}

/** The rules for a balancer. */
export function balancerRules(subject: BalancerSubject): readonly Rule[] {
  const { functions, example, name, refusal } = subject;
  const skipped = functions === undefined ? refusal ?? "the plugin's functions cannot be called" : undefined;
  const rule = (title: string, run: (given: NonNullable<typeof functions>) => Promise<string | void>): Rule => ({
    title,
    skipped,
    async run() {
      if (functions !== undefined) return await run(functions);
    },
  });
  const wantedOf = ({ config, cluster }: NonNullable<typeof functions>, ports: readonly number[]): Wanted => ({
    config,
    host: { fqdn: "here.example", ip: "192.0.2.9" },
    clusters: [{ name: "conformance", config: cluster, nodes: ports.map(member) }],
  });
  return [
    ...pluginRules("balancer", subject, { scope: { instance: name }, config: () => example }),
    rule(
      "renders the same bytes for the same desired state, and different bytes for different members",
      async (given) => {
        const [first, again] = [
          await print(given, wantedOf(given, [8001])),
          await print(given, wantedOf(given, [8001])),
        ];
        must(first === again, "a second rendering of the same state differs");
        const more = await print(given, wantedOf(given, [8001, 8002]));
        must(more !== first, "the renderings for one member and for two members are equal");
      },
    ),
    rule("renders a complete file without clusters, and for a cluster without members", async (given) => {
      const { plugin, config } = given;
      const none = { ...wantedOf(given, []), config, clusters: [] };
      const { children, directory } = await plugin.sources(config);
      for (const wanted of [none, wantedOf(given, [])]) {
        const texts = textsOf(await plugin.render(wanted));
        const mayBeNone = children !== undefined || (directory !== undefined && wanted === none);
        must(texts.size > 0 || mayBeNone, "no file rendered");
        for (const [path, text] of texts) must(text.length > 0, `the plugin renders an empty file ${path}`);
      }
    }),
    rule("reads the members back from the rendered file", async (given) => {
      const { plugin, config } = given;
      const texts = textsOf(await plugin.render(wantedOf(given, [8001, 8002])));
      if (texts.size === 0) return "skipped: the plugin renders no files";
      if (plugin.servedBy !== undefined) {
        const { directory } = await plugin.sources(config);
        const served = await plugin.servedBy(await filesAfter(given, wantedOf(given, [8001, 8002])), config);
        must(
          directory !== undefined || served.includes("conformance"),
          "the clusters cannot be read back from the rendered files",
        );
        return;
      }
      const ports = (await plugin.adopt(texts, config)).get("conformance")?.map(({ port }) => port).toSorted();
      must(
        JSON.stringify(ports) === "[8001,8002]",
        `the ports read back are ${JSON.stringify(ports)}: expected [8001,8002]`,
      );
      const others = new Map([...texts.keys()].map((path) => [path, "this is a foreign file\n"]));
      const foreign = await plugin.adopt(others, config);
      must(foreign.size === 0, "members read from a foreign file");
    }),
    rule("renders only the files that its sources list", async (given) => {
      const { plugin, config } = given;
      const { file, moreFiles = [], directory } = await plugin.sources(config);
      for (const path of (await plugin.render(wantedOf(given, [8001]))).files.keys()) {
        const isListed = directory !== undefined && path.startsWith(`${directory.path}/`) &&
          path.endsWith(directory.suffix);
        must(
          isListed || [file, ...moreFiles].includes(path),
          `the plugin renders ${path}, which is not listed in its sources`,
        );
      }
    }),
    rule("plans to install its files and to start or notify its program, on an empty host", async (given) => {
      const { plugin, config } = given;
      const wanted = wantedOf(given, [8001]);
      const rendered = await plugin.render(wanted);
      const steps = await plugin.plan(wanted, rendered, await plugin.observe({}, config), { reload: true });
      const { kind } = await plugin.sources(config);
      const installed = new Map(steps.flatMap((step) => step.do === "install" ? [[step.path, step]] : []));
      const isOfFiles = rendered.files.size > 0;
      const first = steps[0]?.do;
      must(
        first === (isOfFiles ? "install" : "supervise"),
        `the first step is ${first}: expected ${isOfFiles ? "install" : "supervise"}`,
      );
      for (const [path, text] of textsOf(rendered)) {
        must(installed.has(path), `${path} is not installed`);
        must(
          installed.get(path)?.contents === text,
          `the installed contents of ${path} differ from the rendered contents`,
        );
      }
      for (const step of steps) {
        if ("reason" in step) must(step.reason !== "", `the ${step.do} step has no reason`);
      }
      const isBegun = kind === "files" || steps.some((step) => step.do === "start" || step.do === "supervise");
      must(isBegun, "no start planned for a stopped balancer");
    }),
    rule("plans no step in the desired state, and no reload while reloads are disallowed", async (given) => {
      const { plugin, config, running } = given;
      const wanted = wantedOf(given, [8001]);
      const rendered = await plugin.render(wanted);
      const sources = await plugin.sources(config);
      const queries = sources.kind === "process" && sources.contact.by !== "pid" ? sources.contact.queries : [];
      const answers = (await running?.(rendered)) ?? [];
      if (running === undefined && (queries.length > 0 || sources.children !== undefined)) {
        return "skipped: the responses to the plugin's queries are unknown";
      }
      must(
        answers.length === queries.length,
        `got ${answers.length} responses: expected ${queries.length}, one per query`,
      );
      const seen = { files: await filesAfter(given, wanted), ...sources.kind === "process" && { answers } };
      const there = await plugin.observe(seen, config);
      const steps = await plugin.plan(wanted, rendered, there, { reload: true });
      must(
        steps.length === 0,
        `the plugin plans ${steps.map((step) => step.do).join(", ")} although the desired state is applied`,
      );
      const other = wantedOf(given, [8001, 8002]);
      const held = await plugin.plan(other, await plugin.render(other), there, { reload: false });
      const isHeld = !held.some((step) => step.do === "reload" || step.do === "notify");
      must(isHeld, "a reload or notification is planned although none is allowed");
    }),
  ];
}
