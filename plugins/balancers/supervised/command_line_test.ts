import assert from "node:assert/strict";
import type { WantedNode } from "../../../mod.ts";
import { commandLine } from "./command_line.ts";
import { balancerSchema } from "./config.ts";

function node(index: number, more: Partial<WantedNode> = {}): WantedNode {
  const node = { host: `n${index}.int`, ip: `10.0.0.${index}`, port: 80, metadata: {} };
  return { state: "ready", pool: "primary", node, ...more };
}

function lineOf(command: readonly unknown[], nodes: readonly WantedNode[], more: Record<string, unknown> = {}) {
  const result = balancerSchema["~standard"].validate({ command, pid_file: "/run/x.pid", ...more });
  assert(!("issues" in result), JSON.stringify(result));
  return commandLine({
    config: result.value,
    host: { fqdn: "lb.int", ip: "10.0.9.9" },
    clusters: [{ name: "web", config: {}, nodes }],
  });
}

const COMMAND = ["/bin/gor", "--name", "{host}", { each: "web", arguments: ["--out", "{address}|{share}%"] }];

Deno.test("commandLine() repeats arguments for each ready node", () => {
  const nodes = [node(1, { weight: 3 }), node(2), node(3, { state: "drain" }), node(4, { weight: 0 })];
  assert.deepEqual(lineOf(COMMAND, nodes), [
    "/bin/gor",
    "--name",
    "lb.int",
    "--out",
    "10.0.0.1:80|75%",
    "--out",
    "10.0.0.2:80|25%",
  ]);
});

Deno.test("commandLine() is empty without a ready node, unless the program runs without one", () => {
  assert.deepEqual(lineOf(COMMAND, []), []);
  assert.deepEqual(lineOf(COMMAND, [], { when_empty: "run" }), ["/bin/gor", "--name", "lb.int"]);
  assert.deepEqual(lineOf(["/bin/sleep", "9"], []), ["/bin/sleep", "9"]);
});

Deno.test.each([
  { command: ["gor"], fault: /absolute path of a program/ },
  { command: [], fault: /absolute path of a program/ },
  { command: ["/bin/gor", "{address}"], fault: /\{host\} and \{ip\} \(of this host\)/ },
  { command: ["/bin/gor", { each: "web", arguments: ["{metadata}"] }], fault: /command\[1\].arguments\[0\]/ },
  { command: ["/bin/gor", "a\nb"], fault: /without control characters/ },
])("the command $command is rejected", ({ command, fault }) => {
  const result = balancerSchema["~standard"].validate({ command, pid_file: "/run/x.pid" });
  assert.match(JSON.stringify("issues" in result ? result.issues.map(({ message }) => message) : []), fault);
});
