import assert from "node:assert/strict";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import type { HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import { wantedOf } from "../../tests/support/balancer_case.ts";
import { HaproxyModel } from "../../tests/support/haproxy_model.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { seededRandom } from "../kernel/random.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import { Writer } from "./writer.ts";

/** The functions that a writer asks. */
const FUNCTIONS = ["sources", "pid", "observe", "adopt", "render", "plan", "explain"] as const;

/** HAProxy as if it did not ship: each answer comes later, and `fails` may suppress it. */
function elsewhere(fails: (name: string) => boolean): Decider {
  const answers = FUNCTIONS.map((name) => [
    name,
    async (...given: unknown[]) => {
      await undefined;
      if (fails(name)) throw new UndecidedError(`no ${name}`);
      return (haproxy[name] as (...given: unknown[]) => unknown)(...given);
    },
  ]);
  const { shortcut: _, ...rest } = haproxy as unknown as Decider;
  return { ...rest, ...Object.fromEntries(answers) };
}

function wanted(...nodes: readonly string[]): HaproxyWanted {
  return wantedOf({
    balancer: { defaults: ["mode http"] },
    clusters: [{ name: "web", haproxy: { port: 8000, backend: [] }, nodes }],
  });
}

Deno.test.each([...FUNCTIONS.filter((name) => name !== "adopt" && name !== "explain")])(
  "Writer leaves what runs unchanged while a plugin does not answer %s, and continues when it does",
  async (failing) => {
    const clock = new FakeClock();
    const model = new HaproxyModel();
    const log: string[] = [];
    const note = (text: string) => void log.push(text);
    let isOut = false;
    const writer = new Writer({
      balancer: elsewhere((name) => isOut && name === failing),
      effects: model,
      clock,
      random: seededRandom(7),
      log: { debug() {}, info() {}, warn: note, error: note },
    });
    const stop = new AbortController();
    const ended = writer.run(stop.signal);
    const pass = async (ms: number) => {
      for (let left = ms; left >= 0; left -= 50) {
        for (let turn = 0; turn < 500; turn++) await undefined;
        clock.advance(50);
      }
    };
    writer.put(wanted("a.int:80 10.0.0.1"));
    await pass(2_000);
    const file = model.file;
    isOut = true;
    writer.put(wanted("a.int:80 10.0.0.1", "b.int:80 10.0.0.2"));
    await pass(20_000);
    assert.deepEqual(model.serving("web"), ["a.int:80 10.0.0.1:80"]);
    assert.equal(model.file, file);
    assert.deepEqual(log, [`no ${failing}`], "it is logged once");
    isOut = false;
    await pass(10_000);
    assert.deepEqual(model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
    stop.abort();
    await ended;
  },
);
