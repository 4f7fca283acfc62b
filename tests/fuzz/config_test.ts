import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { takeWithAnyPlugin } from "../support/taken_config.ts";
import { TempDir } from "../support/temp_dir.ts";
import { nearly, RUNS } from "./mutation.ts";

/** A valid directory: each of its files is broken in turn. */
const GOOD: Readonly<Record<string, string>> = {
  "balancers/haproxy.yaml":
    "config_file: /run/h.cfg\nsocket_file: /run/h.sock\npid_file: /run/h.pid\nglobal:\n  - maxconn 100\n",
  "balancers/nginx.yaml":
    "config_file: /run/n.conf\npid_file: /run/n.pid\nstatus_socket: /run/n.sock\nhttp: [gzip on]\n" +
    "servers: {a: {listen: [8080], hosts: [x.test], deny: [/d]}}\n",
  "clusters/shadow.yaml":
    'discovery: zookeeper\nnginx: {server: a, locations: ["/", "~ x$"], mirror: {cluster: api, percent: 5}}\n',
  "clusters/api.yaml": "discovery: zookeeper\nhaproxy:\n  port: 8000\n  backend:\n    - 'mode http'\n",
  "discovery/zookeeper.yaml": 'hosts: ["127.0.0.1:2181"]\npath: /lighthouse/services\n',
  "services/web.yaml":
    "port: 80\ndiscovery: zookeeper\nmetadata: &m {rack: b2}\nchecks:\n  interval: 2\n  http: {uri: /, rise: 2, fall: 2}\n",
  "logging.yaml":
    "version: 1\nroot: {level: INFO, handlers: [console]}\nhandlers: {console: {class: logging.StreamHandler}}\n",
};

Deno.test("an almost valid config file is reported with its position, and affects no other file", async () => {
  await using dir = new TempDir("lighthouse-fuzz-");
  for (const [path, text] of Object.entries(GOOD)) await dir.write(path, text);
  const options = { role: "run", signal: new AbortController().signal, clock: new FakeClock() } as const;
  const lastGood = await takeWithAnyPlugin(dir.path, options);
  assert.ok(lastGood.ok && lastGood.diagnostics.length === 0);
  const count = ({ accepted }: typeof lastGood) =>
    [accepted.balancers, accepted.clusters, accepted.discovery, accepted.services].map((files) => [...files].length);

  for (const [path, good] of Object.entries(GOOD)) {
    await fc.assert(
      fc.asyncProperty(nearly(good), async (text) => {
        await dir.write(path, text);
        const loaded = await takeWithAnyPlugin(dir.path, options, lastGood);
        assert.ok(loaded.ok);
        const lines = text.split(/\r\n|[\n\r]/).length;
        for (const { file, line, column, message } of loaded.diagnostics) {
          assert.equal(file, dir.file(path));
          assert.ok(message.length > 0 && message.length < 5_000, message);
          if (line === undefined || column === undefined) continue;
          assert.ok(line >= 1 && line <= lines + 1, `${line} of ${lines}: ${message}`);
          assert.ok(column >= 1, message);
        }
        // An invalid file keeps its last valid version.
        assert.deepEqual(count(loaded), count(lastGood));
        assert.equal(({} as Record<string, unknown>).polluted, undefined);
      }),
      { numRuns: Math.ceil(RUNS / 5) },
    );
    await dir.write(path, good);
  }
});
