import { Executor } from "../balance/executor.ts";
import { type Trial, tryOut } from "../balance/try_out.ts";
import type { Node } from "../model/node.ts";
import type { HostFacts, Wanted } from "../plugin/contract.ts";
import { UndecidedError } from "../plugin/decider.ts";
import type { Accepted, AcceptedBalancer } from "./accepted.ts";
import { wish } from "./derive.ts";
import { type Judgement, judgementAt } from "./place.ts";

/** A member for each cluster, so that what is said of members is judged too: an address for documentation (RFC 5737). */
const SAMPLE: Node = { host: "sample.invalid", ip: "192.0.2.1", port: 65_535, metadata: {} };
/** A host to render for. */
const HOST: HostFacts = { fqdn: "sample.invalid", ip: "192.0.2.1" };
/** How long a balancer's program may take to judge a config, with all that it makes necessary to leave out. */
const JUDGE_DEADLINE_MS = 20_000;

/**
 * Renders what each balancer would be given, with a sample member in each
 * cluster, and has its own program judge it: what only a running writer would
 * find otherwise. A program that is not installed judges nothing. Writes to a
 * temporary directory alone.
 */
export async function judgeBalancers(accepted: Accepted): Promise<readonly Judgement[]> {
  const found: Judgement[] = [];
  for (const [name, balancer] of accepted.balancers) {
    try {
      found.push(...await judge(name, balancer, accepted));
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      found.push(judgementAt(accepted, name, { severity: "error", message: error.message, origin: undefined }));
    }
  }
  return found;
}

async function judge(
  name: string,
  balancer: AcceptedBalancer,
  accepted: Accepted,
): Promise<readonly Judgement[]> {
  const members = new Map([...accepted.clusters.values()].map(({ cluster }) => [cluster.name, [SAMPLE]]));
  const asked = wish(name, balancer, accepted, members, HOST);
  const { target, refusals } = await judgeWish(asked, balancer);
  const refused = refusals.flatMap(({ cluster, faults }) =>
    faults.map(({ message, origin = { cluster, path: [] } }) =>
      judgementAt(accepted, name, { severity: "error", message: `${name} refuses it: ${message}`, origin })
    )
  );
  // What is refused for good is told in each round.
  const found = new Map(refused.map((judgement) => [JSON.stringify(judgement), judgement]));
  const { notices: told } = await balancer.plugin.render(target);
  const notices = told.map(({ text, origin }) =>
    judgementAt(accepted, name, { severity: "warning", message: text, origin })
  );
  return [...found.values(), ...notices];
}

/** Has a balancer's program judge a wish; answers as much of it as it takes, and what it has against the rest. */
export async function judgeWish(asked: Wanted, { plugin }: AcceptedBalancer): Promise<Trial<unknown, unknown>> {
  const dir = await Deno.makeTempDir({ prefix: "lighthouse-check-" });
  try {
    return await tryOut(asked, {
      balancer: plugin,
      effects: new Executor(),
      candidate: `${dir}/candidate`,
      signal: AbortSignal.timeout(JUDGE_DEADLINE_MS),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
