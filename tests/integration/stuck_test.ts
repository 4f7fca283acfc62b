import assert from "node:assert/strict";
import { checkModule } from "../support/plugin_source.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";

/** A check whose probe blocks its thread forever: `terminate()` does not stop it. */
const BUSY = checkModule(`for (;;);`);
/** Another one: a plugin that hung is not started again, so each leaves a single thread. */
const ENDLESS = checkModule(`while (true);`);
/** A check that fails in the ordinary way. */
const FAILS = checkModule(`return { status: "fail", reason: "no" };`);

/** A service whose checks are a test's own plugin. */
function service(type: string, port: number) {
  const check = { type, rise: 1, fall: 1, timeout: 0.1 };
  return { discovery: "file", port, checks: { interval: 0.1, made_up: check } };
}

Deno.test("two stuck threads end the process with exit status 75, and HAProxy keeps running", async () => {
  await using host = new TestHost();
  await host.configure();
  await host.write("services/one", service("busy", 1));
  await host.write("services/two", service("endless", 2));
  await host.write("services/fails", service("fails", 3));
  await host.write("clusters/web", { discovery: "file", haproxy: { backend: ["mode http"] } });
  await using both = Lighthouse.startWith({ busy: BUSY, endless: ENDLESS, fails: FAILS }, host.configDir);
  await both.event("worker.stuck");
  assert.equal(await both.ended(), 75, both.log);
  assert.ok(both.count("service.down", { service: /^fails:3/ }) > 0, "the others are still checked");
  assert.ok(await host.haproxy.pid() > 0);
});
