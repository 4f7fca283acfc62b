import assert from "node:assert/strict";
import type { CheckPlugin, ProbeOutcome } from "../../mod.ts";
import dns from "../../plugins/checks/dns/mod.ts";
import exec from "../../plugins/checks/exec/mod.ts";
import file from "../../plugins/checks/file/mod.ts";
import http from "../../plugins/checks/http/mod.ts";
import { probe } from "../support/probe.ts";
import { Sandbox } from "../support/sandbox.ts";

const PROBES = new URL("../support/probe_without_files.ts", import.meta.url).pathname;

Deno.test("a built-in check has no result while its process has no free file descriptor", async () => {
  const script = `ulimit -n 128; exec "$0" run --no-check -A ${PROBES}`;
  const child = new Deno.Command("sh", { args: ["-c", script, Deno.execPath()], stdin: "null" });
  const { stdout, stderr } = await child.output();
  const text = new TextDecoder().decode(stdout);
  assert.notEqual(text, "", new TextDecoder().decode(stderr));
  const outcomes = JSON.parse(text) as readonly (readonly [string, ProbeOutcome])[];
  assert.equal(outcomes.length, 12);
  for (const [name, outcome] of outcomes) {
    assert.equal(outcome.status, "unknown", `${name}: ${JSON.stringify(outcome)}`);
    assert.match(JSON.stringify(outcome), /out of file descriptors|LICENSE/, name);
  }
});

Deno.test.each(
  [
    {
      why: "throws what says so",
      status: "unknown",
      probe: `throw Object.assign(new Error("no"), { code: "EMFILE" });`,
    },
    { why: "answers so", status: "unknown", probe: `return { status: "unknown", reason: "no open file is left" };` },
    {
      why: "throws for that cause",
      status: "unknown",
      probe: `throw new Error("no", { cause: Object.assign(new Error("no"), { code: "EADDRNOTAVAIL" }) });`,
    },
  ] as const,
)("a check that does not ship cannot tell how its service is if it $why", async ({ status, probe }) => {
  await using sandbox = new Sandbox();
  const outcome = await sandbox.attack({ probe });
  assert.equal(outcome.status, status, JSON.stringify(outcome));
});

Deno.test.each([
  { what: "its program cannot be run", check: exec, raw: { command: "/etc/passwd" } },
  { what: "its program does not exist", check: exec, raw: { command: "/nobody/has/this" } },
  { what: "its ca cannot be read", check: http, raw: { uri: "/", https: true, ca: "/nobody/has/this.pem" } },
  { what: "its flag file cannot be examined", check: file, raw: { path: `/${"x".repeat(5_000)}` } },
  { what: "its name server has no address", check: dns, raw: { name: "health.example" }, target: "ns.example:53" },
])("a check has no verdict if $what", async ({ check, raw, target = "127.0.0.1:1" }) => {
  const outcome = await probe<unknown>(check as CheckPlugin, raw, target);
  assert.equal(outcome.status, "unknown", JSON.stringify(outcome));
});
