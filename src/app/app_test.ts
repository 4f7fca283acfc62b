import assert from "node:assert/strict";
import { App } from "./app.ts";
import { type ConfigSource, UNREAD } from "../config/reading.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { seededRandom } from "../kernel/random.ts";

Deno.test("App ends when asked to, though loading its config hangs", async () => {
  const clock = new FakeClock();
  const asked = Promise.withResolvers<void>();
  const configs: ConfigSource = {
    configs: () => ({
      [Symbol.asyncIterator]: () => ({
        next() {
          asked.resolve();
          return new Promise(() => {});
        },
      }),
    }),
    lookAgain() {},
    reading: UNREAD,
  };
  const app = new App({
    dir: "/nowhere",
    role: "reporter",
    identify: () => Promise.reject(new Error("nobody asks")),
    catalog: { find: () => undefined, names: () => [] },
    loadBalancer: () => Promise.reject(new Error("nobody asks")),
    clock,
    random: seededRandom(1),
    log: { part: () => SILENT },
    machine: { configs },
  });
  const stop = new AbortController();
  const running = app.run(stop.signal);
  await asked.promise;
  stop.abort();
  let ending: string | undefined;
  void running.then((answer) => ending = answer);
  for (let i = 0; i < 100 && ending === undefined; i++) {
    clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.equal(ending, "stopped");
});
