/**
 * Findings of `check` and `plan` that need more than the files: HAProxy itself,
 * names, a candidate in place of a file, and an unreachable registry.
 *
 * @module
 */
import assert from "node:assert/strict";
import { validateDirectory } from "../../src/app/validate.ts";
import type { TryOptions } from "../../src/app/try_balancers.ts";
import { check } from "../../src/cli/check.ts";
import { findUnusableFiles } from "../../src/logging/log_files.ts";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { runCli } from "../support/cli.ts";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";

const TIMEOUTS = "timeout connect 2s, timeout client 20s, timeout server 20s";

/** A directory with HAProxy and one cluster. */
async function directory(
  { own = "", section = "{port: 64001}", discovery = "path: /tmp" }: {
    readonly own?: string;
    readonly section?: string;
    readonly discovery?: string;
  } = {},
): Promise<TempDir> {
  const temp = new TempDir();
  const places = ["config_file", "socket_file", "pid_file"].map((key) => `${key}: ${temp.file(key)}\n`).join("");
  await temp.write("c/balancers/haproxy.yaml", `${places}defaults: [mode http, ${TIMEOUTS}]\n${own}`);
  await temp.write("c/discovery/registry.yaml", discovery === "" ? "" : discovery.replace(/^(?!type)/, "type: file\n"));
  await temp.write("c/clusters/web.yaml", `discovery: registry\nhaproxy: ${section}\n`);
  return temp;
}

/** Each finding on one line: `balancers/haproxy.yaml:4:1: warning: …`. */
async function findings(temp: TempDir, options: TryOptions = {}): Promise<readonly string[]> {
  const { diagnostics } = await validateDirectory(temp.file("c"), { role: "check", ...options });
  return diagnostics.map((each) => formatDiagnostic(each).split("\n")[0]?.replace(`${temp.file("c")}/`, "") ?? "");
}

Deno.test("check reports a missing directory of a balancer's files, and passes", async () => {
  await using temp = await directory({ own: "" });
  await temp.write(
    "c/balancers/haproxy.yaml",
    `config_file: ${temp.file("cfg")}\nsocket_file: ${temp.file("none/socket")}\npid_file: ${temp.file("none/pid")}\n` +
      `defaults: [mode http, ${TIMEOUTS}]\n`,
  );
  const { code, text } = await checked(temp, { strict: true });
  assert.equal(code, 0, text);
  assert.match(
    text,
    new RegExp(`notice: Directory ${temp.file("none")} does not exist: `),
  );
  assert.match(text, /: valid: 0 errors, 0 warnings, 2 notices$/);
});

Deno.test("check reports log files that cannot be opened, of handlers that a logger uses", async () => {
  await using temp = await directory();
  await temp.write("file", "");
  const handler = (filename: string) => `{class: logging.FileHandler, filename: ${filename}}`;
  await temp.write(
    "c/logging.yaml",
    `handlers:\n  folder: ${handler("/tmp")}\n  missing: ${handler(temp.file("none/x.log"))}\n` +
      `  below: ${handler(temp.file("file/x.log"))}\n  good: ${handler(temp.file("x.log"))}\n` +
      `  unused: ${handler("/")}\nroot: {handlers: [folder, missing, below, good]}\nversion: 1\n`,
  );
  const { code, text } = await checked(temp, {});
  assert.equal(code, 0, text);
  const of = (text: string) =>
    text.split("\n").flatMap((line) => /^(?:\S+\/)?(logging\.yaml:.*)/.exec(line)?.[1] ?? []);
  const [folder, missing, below, ...more] = of(text);
  assert.equal(folder, "logging.yaml:2:50: warning: Cannot log to /tmp: is a directory");
  assert.match(missing ?? "", /^logging\.yaml:3:51: notice: Directory \S+\/none does not exist: \S+ is written there/);
  assert.match(below ?? "", /^logging\.yaml:4:49: warning: Cannot log to \S+: Not a directory/);
  assert.deepEqual(more, []);
  assert.deepEqual(of((await checked(temp, { ignoresNames: true })).text), []);
});

/** Runs `check`; returns its exit status and output. */
async function checked(
  temp: TempDir,
  options: { readonly strict?: boolean; readonly ignoresNames?: boolean; readonly candidates?: Record<string, string> },
): Promise<{ readonly code: number; readonly text: string }> {
  const lines: string[] = [];
  const print = (line: string) => void lines.push(line);
  const { strict = false, ignoresNames = false, candidates = {} } = options;
  const code = await check({
    dir: temp.file("c"),
    strict,
    ignoresNames,
    identify: () => Promise.resolve({ facts: { fqdn: "test.host", ip: "10.0.0.1" }, isProvisional: false }),
    candidates: new Map(Object.entries(candidates)),
    findUnusableFiles: (logging) => findUnusableFiles(logging, (path) => path),
    json: false,
    color: false,
    print,
    complain: print,
  });
  return { code, text: lines.join("\n").replaceAll(`${temp.file("c")}/`, "") };
}

Deno.test("check reports HAProxy's warnings at their lines", async () => {
  await using temp = await directory({
    own: "bind_address: 127.0.0.1\ndirectives: all\n",
    section: "\n  port: 64001\n  backend:\n    - maxconn 500",
  });
  assert.deepEqual(await findings(temp), [
    "clusters/web.yaml:5:7: warning: haproxy warns: 'maxconn' ignored because backend 'web' has no frontend " +
    `capability. Maybe you want 'fullconn' instead ? ("maxconn 500")`,
  ]);
});

Deno.test("check reports a warning of HAProxy that names only a value at the line with the value", async () => {
  await using temp = await directory({
    own: "bind_address: 127.0.0.1\n",
    section: "\n  port: 64001\n  backend:\n    - mode http\n    - timeout server 5sec",
  });
  assert.match((await findings(temp)).join("\n"), /^clusters\/web\.yaml:6:7: warning: haproxy warns: .*'5sec'/);
});

Deno.test("check reports that HAProxy was not run, and fails with --strict", async () => {
  await using temp = await directory({ own: "bind_address: 127.0.0.1\nprogram: /nonexistent/haproxy\n" });
  const said = /balancers\/haproxy\.yaml:1:1: (\w+): Not validated by haproxy: cannot run \/nonexistent\/haproxy/;
  const lenient = await checked(temp, {});
  assert.equal(said.exec(lenient.text)?.[1], "notice");
  assert.match(lenient.text, /: valid: 0 errors, 0 warnings, 1 notice$/);
  assert.equal(lenient.code, 0);
  const strict = await checked(temp, { strict: true });
  assert.equal(said.exec(strict.text)?.[1], "warning");
  assert.equal(strict.code, 1);
});

Deno.test("check rejects a key of the haproxy section that is one level too high", async () => {
  await using temp = await directory();
  await temp.write(
    "c/clusters/web.yaml",
    "discovery: registry\nhaproxy:\n  port: 64001\nbackend: [balance leastconn]\n",
  );
  assert.deepEqual((await findings(temp)).filter((finding) => finding.startsWith("clusters/")), [
    "clusters/web.yaml:4:1: error: Cannot use backend here: backend belongs under haproxy",
  ]);
});

Deno.test("check notes that clusters listen on all addresses, and never fails for it", async () => {
  await using temp = await directory();
  const { code, text } = await checked(temp, { strict: true });
  assert.match(text, /notice: bind_address is not set; frontends listen on all addresses of this host \(ports 64001\)/);
  assert.equal(code, 0);
});

Deno.test("check warns of a service at the port of a cluster", async () => {
  await using temp = await directory({ own: "bind_address: 127.0.0.1\n" });
  await temp.write(
    "c/services/app.yaml",
    "discovery: registry\nport: 64001\nchecks: {interval: 1, tcp: {rise: 1, fall: 1}}\n",
  );
  assert.deepEqual(await findings(temp), [
    "services/app.yaml:2:7: warning: Port 64001 is also used by clusters/web on this host: the service's checks connect to " +
    "the balancer",
  ]);
});

Deno.test("check --no-resolve skips names that do not resolve, and nothing else", async () => {
  const upstreams = "upstreams: [{host: partner.invalid, port: 80}]";
  await using temp = await directory({ own: `bind_address: 127.0.0.1\nproxies: {p: {port: 64002, ${upstreams}}}\n` });
  const [refusal, ...more] = await findings(temp);
  assert.match(refusal ?? "", /error: rejected by haproxy: .*could not resolve address 'partner\.invalid'/);
  assert.deepEqual(more, []);
  assert.deepEqual(await findings(temp, { ignoresNames: true }), []);
  await temp.write(
    "c/clusters/web.yaml",
    "discovery: registry\nhaproxy: {port: 64001, backend: [balnce roundrobin]}\n",
  );
  assert.match((await findings(temp, { ignoresNames: true })).join("\n"), /^clusters\/web\.yaml.*balnce[^\n]*$/);
});

Deno.test("check --file checks the directory with a candidate in place of one of its files", async () => {
  await using temp = await directory({ own: "bind_address: 127.0.0.1\n" });
  await temp.write("candidate", "discovery: registry\nhaproxy: {port: 0}\n");
  await temp.write("new", "discovery: registry\nhaproxy: {port: 64001}\n");
  const before = await checked(temp, {});
  assert.equal(before.code, 0, before.text);
  const replaced = await checked(temp, { candidates: { "clusters/web.yaml": temp.file("candidate") } });
  assert.match(replaced.text, /^clusters\/web\.yaml:2:17: error: Cannot use haproxy\.port/);
  assert.equal(replaced.code, 1);
  const added = await checked(temp, { candidates: { "clusters/two.yaml": temp.file("new") } });
  assert.match(added.text, /error: Cannot use port 64001: already used by clusters\/two/);
  const inNewFolder = await checked(temp, { candidates: { "services/app.yaml": temp.file("candidate") } });
  assert.match(inNewFolder.text, /^services\/app\.yaml:1:1: error: /);
  const missing = await checked(temp, { candidates: { "clusters/web.yaml": temp.file("nothing") } });
  assert.match(missing.text, /^Cannot check \S+ as clusters\/web\.yaml: no such file$/);
  assert.equal(missing.code, 1);
});

Deno.test("check FILE suggests how to check a file in its directory", async () => {
  await using temp = await directory();
  const file = temp.file("c/clusters/web.yaml");
  const { code, stderr } = await runCli(["check", file]);
  assert.equal(code, 1);
  assert.equal(stderr, `To check a file in its directory: lighthouse check DIR --file services/NAME.yaml=${file}\n`);
});

Deno.test("plan reports an unreachable registry with the reason, exit status 1", async () => {
  const port = freePort();
  await using temp = await directory({ discovery: `type: zookeeper\nhosts: ["127.0.0.1:${port}"]\npath: /services\n` });
  const { code, stdout, stderr } = await runCli(["plan", "--wait", "10s", "--log-format", "logfmt", temp.file("c")]);
  assert.match(
    stderr,
    /level=error .*msg="Registry unreachable" event=plan\.unreachable discovery=registry detail=/,
  );
  assert.match(stderr, /detail="[^"]*(?:ECONNREFUSED|refused)[^"]*"/i);
  assert.match(stdout, /^# steps: /m);
  assert.equal(code, 1);
});

Deno.test("a writer whose config directory is missing reports nothing about a HAProxy that never ran", async () => {
  await using temp = new TempDir();
  const { code, stderr } = await runCli(["writer", temp.file("nowhere"), "--log-format", "logfmt"]);
  assert.equal(code, 1);
  assert.match(stderr, /Cannot read the config directory: no such directory/);
  assert.match(stderr, /msg=Stopped event=process\.stopped/);
  assert.doesNotMatch(stderr, /HAProxy keeps running/);
});
