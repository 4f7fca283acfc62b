/**
 * What every balancer must do: render the same for the same wish, read back
 * what it rendered, and plan nothing where nothing is to be done.
 *
 * @module
 */
import type { Node } from "../model/node.ts";
import type { Rendered, Wanted } from "../plugin/contract.ts";
import type { Awaitable, Decider } from "../plugin/decider.ts";
import { pluginRules, type Subject } from "./plugin_rules.ts";
import { must, type Rule } from "./rule.ts";

/** The functions of a balancer that rules call, wherever they run. */
export type Functions = Pick<Decider<unknown, unknown, unknown>, "sources" | "observe" | "adopt" | "render" | "plan">;

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

function node(port: number): Node {
  return { host: "one.example", ip: "192.0.2.1", port, metadata: {} };
}

/** The rules for a balancer. */
export function balancerRules(subject: BalancerSubject): readonly Rule[] {
  const { functions, example, name, refusal } = subject;
  const skipped = functions === undefined ? refusal ?? "its functions cannot be called" : undefined;
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
    clusters: [{ name: "conformance", config: cluster, nodes: ports.map(node) }],
  });
  return [
    ...pluginRules("balancer", subject, { scope: { instance: name }, config: () => example }),
    rule("renders the same bytes for the same wish, and others for other members", async (given) => {
      const { plugin } = given;
      const [first, again] = [
        await plugin.render(wantedOf(given, [8001])),
        await plugin.render(wantedOf(given, [8001])),
      ];
      must(first.text === again.text, "It renders something else when it is asked again");
      const more = await plugin.render(wantedOf(given, [8001, 8002]));
      must(more.text !== first.text, "It renders the same for one member as for two");
    }),
    rule("renders a whole file where there is no cluster, and where a cluster has no members", async (given) => {
      const { plugin, config } = given;
      const none = { ...wantedOf(given, []), config, clusters: [] };
      for (const wanted of [none, wantedOf(given, [])]) {
        must((await plugin.render(wanted)).text.length > 0, "It renders an empty file");
      }
    }),
    rule("reads the members back from the file that it rendered", async (given) => {
      const { plugin, config } = given;
      const { text } = await plugin.render(wantedOf(given, [8001, 8002]));
      const ports = (await plugin.adopt(text, config)).get("conformance")?.map(({ port }) => port).toSorted();
      must(
        JSON.stringify(ports) === "[8001,8002]",
        `It reads back the ports ${JSON.stringify(ports)}: want [8001,8002]`,
      );
      const foreign = await plugin.adopt("this is no file of mine\n", config);
      must(foreign.size === 0, "It reads members from a file that is none of its own");
    }),
    rule("plans to install its file and to start, where nothing is there", async (given) => {
      const { plugin, config } = given;
      const wanted = wantedOf(given, [8001]);
      const rendered = await plugin.render(wanted);
      const steps = await plugin.plan(wanted, rendered, await plugin.observe({}, config), { reload: true });
      const { file } = await plugin.sources(config);
      const [install] = steps;
      must(install?.do === "install", `Its first step is ${install?.do}: want install`);
      must(install.path === file, `It installs ${install.path}: want the file of its sources, ${file}`);
      must(install.contents === rendered.text, "It installs something else than what it rendered");
      for (const step of steps) {
        if (step.do === "start" || step.do === "reload") must(step.reason !== "", `Its step ${step.do} has no reason`);
      }
      must(steps.some((step) => step.do === "start"), "It does not plan to start what does not run");
    }),
    rule("plans nothing where all is there already, and no reload where none is allowed", async (given) => {
      const { plugin, config, running } = given;
      const wanted = wantedOf(given, [8001]);
      const rendered = await plugin.render(wanted);
      const { queries } = await plugin.sources(config);
      const answers = (await running?.(rendered)) ?? [];
      if (running === undefined && queries.length > 0) return "not tried, as what it would be answered is not known";
      must(answers.length === queries.length, `${queries.length} queries want as many answers: got ${answers.length}`);
      const there = await plugin.observe({ answers, file: rendered.text }, config);
      const steps = await plugin.plan(wanted, rendered, there, { reload: true });
      must(steps.length === 0, `It plans ${steps.map((step) => step.do).join(", ")} where nothing is to be done`);
      const other = wantedOf(given, [8001, 8002]);
      const held = await plugin.plan(other, await plugin.render(other), there, { reload: false });
      must(!held.some((step) => step.do === "reload"), "It plans a reload that is not allowed");
    }),
  ];
}
