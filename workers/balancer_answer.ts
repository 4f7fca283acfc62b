import type { BalancerPlugin, Seen } from "../src/plugin/contract.ts";
import type { BalancerAnswer, Question } from "../src/protocol/messages.ts";

/**
 * Has a balancer's plugin answer a question of the host: calls its function,
 * and whatever it needs that does not cross the wire. Throws what it throws.
 */
export function answerQuestion(plugin: BalancerPlugin, question: Question): BalancerAnswer {
  const { ask } = question;
  const observe = ({ seen, config }: { readonly seen: Seen; readonly config: unknown }) => plugin.observe(seen, config);
  switch (ask) {
    case "sources": {
      const { config, scope } = question;
      return { ask, sources: plugin.sources(config), permissions: plugin.permissions(config, scope) };
    }
    case "listens":
      // Whether there is a section is told by the number of arguments, as to a plugin in the host.
      return {
        ask,
        listens:
          (question.section === undefined
            ? plugin.listens?.(question.config)
            : plugin.listens?.(question.config, question.section.config)) ?? [],
      };
    case "pid":
      return { ask, pid: plugin.pid(question.answers) };
    case "observe":
      observe(question);
      return { ask };
    case "adopt":
      return { ask, members: plugin.adopt(question.files, question.config) };
    case "adoptRunning":
      return { ask, members: plugin.adoptRunning?.(observe(question)) ?? new Map() };
    case "render":
      return { ask, rendered: plugin.render(question.wanted) };
    case "plan": {
      const { wanted, rendered, allowed } = question;
      return { ask, steps: plugin.plan(wanted, rendered, observe(question), allowed) };
    }
    case "explain":
      return { ask, explanation: plugin.explain?.(question.rendered, question.output) };
  }
}
