/**
 * Config lines that HAProxy rejects affect only themselves, and are reported at
 * their source: with the whole program, and a real HAProxy.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { NamedServer } from "../support/haproxy.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";

/** A cluster's file, with lines of its backend. */
function cluster(port: number, ...lines: string[]): string {
  return `discovery: file\nhaproxy:\n  port: ${port}\n  backend:\n${
    ["mode http", ...lines].map((line) => `    - ${line}\n`).join("")
  }`;
}

/** Registers a server as a member, as a reporter that has since ended would. */
async function register(host: TestHost, cluster: string, { port, name }: NamedServer): Promise<void> {
  const node = { host: name, ip: "127.0.0.1", port, metadata: {} };
  await host.dir.write(`registry/${cluster}/${name}:${port}.json`, JSON.stringify(node));
}

async function ask(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  const text = await response.text();
  return response.status === 200 ? text : `${response.status}`;
}

Deno.test("a line that HAProxy rejects is omitted from a new cluster and reported with its file and line, and all clusters are served (B9a)", async () => {
  await using host = new TestHost();
  await using server = new NamedServer("app.test");
  await host.configure({ restart_interval: 0 });
  const [good, bad] = [freePort(), freePort()];
  for (const name of ["good", "bad"]) await register(host, name, server);
  await host.write("clusters/good", cluster(good));
  await host.write("clusters/bad", cluster(bad, "timeout server xyz", "reqrep ^a b", "retries 2"));
  await using writer = Lighthouse.start("writer", host.configDir);
  await eventually("both serve", async () => await ask(good) === "app.test" && await ask(bad) === "app.test");
  await writer.event("balancer.config_rejected", {
    cluster: "bad",
    fate: "left out",
    msg: /clusters\/bad\.yaml:6:7: /,
  });
  await writer.event("balancer.config_rejected", {
    msg: /clusters\/bad\.yaml:7:7: The 'reqrep' directive is not supported anymore/,
  });
  const text = await Deno.readTextFile(host.haproxy.configFile);
  assert.match(text, /^\tretries 2$/m);
  assert.doesNotMatch(text, /xyz|reqrep/);
});

Deno.test("an invalid edit of a serving cluster leaves it unchanged, and it is applied once fixed", async () => {
  await using host = new TestHost();
  await using server = new NamedServer("app.test");
  await host.configure({ restart_interval: 0 });
  const [port, moved, other] = [freePort(), freePort(), freePort()];
  for (const name of ["web", "other"]) await register(host, name, server);
  await host.write("clusters/web", cluster(port, "timeout server 7s"));
  await using writer = Lighthouse.start("writer", host.configDir);
  await eventually("it serves", async () => await ask(port) === "app.test");
  await host.write("clusters/web", cluster(moved, "timeout server 7x"));
  await writer.event("balancer.config_rejected", { cluster: "web", fate: "kept", msg: /web\.yaml:6:7: / });
  // Others are added meanwhile.
  await host.write("clusters/other", cluster(other));
  await eventually("the other one serves", async () => await ask(other) === "app.test");
  assert.equal(await ask(port), "app.test");
  assert.match(await Deno.readTextFile(host.haproxy.configFile), /^\ttimeout server 7s$/m);
  await host.write("clusters/web", cluster(moved, "timeout server 8s"));
  await eventually("it has moved", async () => await ask(moved) === "app.test");
});

Deno.test("an invalid edit of the balancer's own file leaves it unchanged, and clusters are still added", async () => {
  await using host = new TestHost();
  await using server = new NamedServer("app.test");
  await host.configure({ restart_interval: 0 });
  const [web, other] = [freePort(), freePort()];
  for (const name of ["web", "other"]) await register(host, name, server);
  await host.write("clusters/web", cluster(web));
  await using writer = Lighthouse.start("writer", host.configDir);
  await eventually("it serves", async () => await ask(web) === "app.test");
  await host.configure({ restart_interval: 0, global: ["maxconn 100", "maxcon 200"] });
  await writer.event("balancer.config_rejected", {
    fate: "kept",
    msg: /^Config rejected; .*balancers\/haproxy\.yaml:1:\d+: /,
  });
  await host.write("clusters/other", cluster(other));
  await eventually("the other one serves", async () => await ask(other) === "app.test");
  assert.doesNotMatch(await Deno.readTextFile(host.haproxy.configFile), /maxcon/);
});

Deno.test("an empty section, a meta cluster without a port and a line that is a number leave the file valid (B9)", async () => {
  await using host = new TestHost();
  await using server = new NamedServer("app.test");
  await host.configure({ restart_interval: 0 });
  const [web, late] = [freePort(), freePort()];
  for (const name of ["web", "late"]) await register(host, name, server);
  await host.write("clusters/web", cluster(web));
  await using _writer = Lighthouse.start("writer", host.configDir);
  await eventually("it serves", async () => await ask(web) === "app.test");
  await host.write("clusters/empty", "discovery: file\nhaproxy:\n");
  await host.write("clusters/number", "discovery: file\nhaproxy:\n  backend:\n    - 17\n");
  await host.configure({ restart_interval: 0, meta_clusters: { api: {} } });
  await host.write("clusters/late", cluster(late));
  await eventually("what comes after them is served", async () => await ask(late) === "app.test");
  assert.equal(await ask(web), "app.test");
  assert.match(await Deno.readTextFile(host.haproxy.configFile), /^backend empty$/m);
});
