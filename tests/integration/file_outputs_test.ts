/**
 * The balancer `file`, with the real writer, and its formats with the programs that read them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { haproxyWord, nginxString } from "../../plugins/balancers/template/filters.ts";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { OutputHost } from "../support/output_host.ts";
import { promtool } from "../support/prometheus.ts";
import { TempDir } from "../support/temp_dir.ts";

Deno.test("a file of targets is accepted by promtool, follows its members, and is untouched without a change", async () => {
  await setUp(["prometheus"]);
  await using host = new OutputHost();
  await host.prepare(["api", "web"]);
  await host.addNode("web", 8001, { zone: "a", labels: { team: 'x"\\{{' } });
  await host.addNode("api", 9001);
  const reload = await host.script("reload", `echo x >> ${host.dir.file("reloads")}`);
  const path = host.dir.file("targets.json");
  await host.write("balancers/targets", {
    type: "file",
    clusters: "all",
    format: "prometheus",
    path,
    labels: { environment: "test" },
    reload_command: [reload],
  });
  await using writer = Lighthouse.start("writer", host.configDir);
  await eventually("both clusters are there", async () => {
    const text = await host.read("targets.json");
    return text.includes("8001") && text.includes("9001");
  });
  await host.dir.write(
    "prometheus.yml",
    JSON.stringify({ scrape_configs: [{ job_name: "fleet", file_sd_configs: [{ files: [path] }] }] }),
  );
  const { success, said } = await promtool(["check", "config", host.dir.file("prometheus.yml")]);
  assert.ok(success, said);
  await writer.event("balancer.notified");
  const { ino } = await Deno.stat(path);
  const before = await host.read("reloads");
  await host.write("lighthouse", { max_age: "2d" });
  await writer.event("config.applied", {}, { times: 2 });
  assert.equal((await Deno.stat(path)).ino, ino);
  await host.addNode("web", 8002);
  await eventually("the new one is there", async () => (await host.read("targets.json")).includes("8002"));
  assert.notEqual((await Deno.stat(path)).ino, ino, "a reader that watches the directory sees a rename");
  await eventually("its reader is notified", async () => (await host.read("reloads")).length > before.length);
});

Deno.test("with a file for each cluster, an added cluster creates one, a removed one deletes it with purge, and no other is touched", async () => {
  await using host = new OutputHost();
  await host.prepare(["api", "web"]);
  await host.addNode("web", 8001);
  await host.addNode("api", 9001);
  await Deno.mkdir(host.dir.file("eds"));
  await host.dir.write("eds/foreign.txt", "mine");
  await host.write("balancers/envoy", {
    type: "file",
    clusters: "all",
    format: "envoy-eds",
    directory: host.dir.file("eds"),
    purge: true,
  });
  await using writer = Lighthouse.start("writer", host.configDir);
  await eventually(
    "both are there",
    async () =>
      (await host.read("eds/web.json")).includes("8001") && (await host.read("eds/api.json")).includes("9001"),
  );
  await host.remove("clusters/api");
  await writer.event("balancer.file_removed", { path: host.dir.file("eds/api.json") });
  await host.write("clusters/web", "discovery: [");
  await writer.event("config.invalid");
  await host.write("clusters/db", { discovery: "file" });
  await host.addNode("db", 5432);
  await eventually("the new one is there", async () => (await host.read("eds/db.json")).includes("5432"));
  assert.ok((await host.read("eds/web.json")).includes("8001"), "a cluster with an invalid file stays");
  assert.equal(await host.read("eds/foreign.txt"), "mine");
});

Deno.test("the filters haproxy and nginx quote a value as one word for the real programs", async () => {
  await setUp(["haproxy", "nginx"]);
  await using dir = new TempDir();
  const texts = ["a b", "it's", 'say "x"', "back\\slash", "# no comment", "{ } ;", "%", "é", "", "'\\''", "x'; daemon"];
  const acls = texts.map((text, i) => `  acl a${i} path -m str ${haproxyWord(text)} ${haproxyWord("end")}\n`).join("");
  await dir.write("haproxy.cfg", `frontend f\n  mode http\n  bind 127.0.0.1:1\n  timeout client 1s\n${acls}`);
  const run = async (program: string, args: readonly string[]) => {
    const { success, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  await run("/usr/sbin/haproxy", ["-c", "-q", "-f", dir.file("haproxy.cfg")]);
  const locations = texts.map((text, i) => `location /${i} { return 200 ${nginxString(text)}; }\n`).join("");
  await dir.write(
    "nginx.conf",
    `pid ${dir.file("pid")};\nerror_log ${
      dir.file("log")
    };\nevents {}\nhttp { access_log off; server { listen 127.0.0.1:1;\n${locations}} }\n`,
  );
  await run("/usr/sbin/nginx", ["-t", "-q", "-c", dir.file("nginx.conf")]);
});
