import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";

Deno.test("nodes in a cluster's file are served, and an edit changes them without a reload", async () => {
  await using host = new TestHost();
  await using first = new WebService();
  await using second = new WebService();
  await host.write("balancers/haproxy", host.haproxy.file);
  await host.write("discovery/fixed", { type: "static" });
  const entry = freePort();
  const cluster = (nodes: readonly unknown[]) =>
    host.write("clusters/web", {
      discovery: "fixed",
      fixed: { nodes },
      haproxy: { port: entry, backend: ["mode http"] },
    });
  await cluster([`127.0.0.1:${first.port}`]);
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [first.port]);
  const pid = await host.haproxy.pid();
  const answer = await fetch(`http://127.0.0.1:${entry}/`);
  assert.equal(await answer.text(), `hello from ${first.port}\n`);

  await cluster([`127.0.0.1:${first.port}`, { host: "two.test", address: "127.0.0.1", port: second.port }]);
  await host.untilServing("web", [first.port, second.port]);
  await cluster([{ host: "two.test", address: "127.0.0.1", port: second.port }]);
  await host.untilServing("web", [second.port]);

  await cluster(["10.0.0.256:80"]);
  await writer.event("config.invalid", { msg: /Cannot use fixed\.nodes\[0\]: must be ADDRESS:PORT/ });
  assert.deepEqual(await host.serving("web"), [second.port], "a bad file keeps the last members");
  assert.equal(await host.haproxy.pid(), pid, "the same HAProxy process serves");
});

Deno.test("a node in a cluster's file drains while its state is drain, and then serves again", async () => {
  await using host = new TestHost();
  await using first = new WebService();
  await using second = new WebService();
  await host.write("balancers/haproxy", host.haproxy.file);
  await host.write("discovery/static", {});
  const entry = freePort();
  const cluster = (more: object) =>
    host.write("clusters/web", {
      discovery: "static",
      static: { nodes: [`127.0.0.1:${first.port}`, { address: "127.0.0.1", port: second.port, ...more }] },
      haproxy: { port: entry, backend: ["mode http"] },
    });
  const served = async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => fetch(`http://127.0.0.1:${entry}/`)));
    return [...new Set(await Promise.all(answers.map((answer) => answer.text())))].toSorted();
  };
  const [hello, helloToo] = [`hello from ${first.port}\n`, `hello from ${second.port}\n`];
  await cluster({});
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [first.port, second.port]);
  assert.deepEqual(await served(), [hello, helloToo].toSorted());

  await cluster({ state: "drain" });
  await eventually("one is drained", async () => (await served()).join() === hello);
  await cluster({ state: "ready" });
  await eventually("both serve", async () => (await served()).length === 2);

  await cluster({ state: "maint" });
  await writer.event("config.invalid", {
    msg: /Cannot use static\.nodes\[1\]\.state: must be ready or drain; current value is "maint"/,
  });
});
