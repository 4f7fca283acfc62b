/**
 * `deno task bench [NAME…]`: the figures of this project, over real HAProxy and
 * ZooKeeper. They are for reading, not for a test to assert. `deno task bench goals` measures all that has a goal.
 * `CHECKOUT` is the directory of another version of the product to measure, for a comparison on one machine.
 *
 * @module
 */
import { setUp } from "../setup.ts";
import { change } from "./change.ts";
import { checks } from "./checks.ts";
import { memory } from "./memory.ts";
import { metrics } from "./metrics.ts";
import { nginx } from "./nginx.ts";
import { outputs } from "./outputs.ts";
import { propagation } from "./propagation.ts";
import { ramps } from "./ramps.ts";
import { registries } from "./registries.ts";
import { requests } from "./requests.ts";
import { scale } from "./scale.ts";
import { seen } from "./seen.ts";
import { startup } from "./startup.ts";
import { storm } from "./storm.ts";
import { store } from "./store.ts";
import { workers } from "./workers.ts";
import { writer } from "./writer.ts";

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  propagation,
  storm,
  change,
  writer,
  requests,
  memory,
  nginx,
  startup,
  workers,
  checks,
  store,
  metrics,
  ramps,
  registries,
  scale,
  outputs,
  seen,
};

/** The benches whose figures have a goal, in the order of the table in docs/scale.md. */
const GOALS = ["propagation", "storm", "writer", "startup", "checks", "memory", "requests"];

const wanted = Deno.args.length > 0
  ? Deno.args.flatMap((name) => name === "goals" ? GOALS : [name])
  : Object.keys(BENCHES);
const unknown = wanted.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  // deno-lint-ignore no-console -- the report is this program's purpose.
  console.error(`Unknown bench ${unknown.join(", ")}: there are goals, ${Object.keys(BENCHES).join(", ")}`);
  Deno.exit(2);
}
await setUp(["etcd", "haproxy", "serf", "zookeeper"]);
for (const name of wanted) await BENCHES[name]?.();
Deno.exit(0);
