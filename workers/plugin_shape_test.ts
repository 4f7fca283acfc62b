import assert from "node:assert/strict";
import { BUILTINS } from "./builtins.ts";
import { decide } from "../src/plugin/policy.ts";
import { shapeFault } from "./plugin_shape.ts";

const CHECK = {
  kind: "check",
  apiVersion: 1,
  name: "made_up",
  summary: "Is made up.",
  stability: "stable",
  config: { "~standard": { version: 1, vendor: "test", validate: () => ({ value: {} }) } },
  permissions: () => ({}),
  probe: () => {},
};

Deno.test("shapeFault() accepts the built-in plugins", async () => {
  for (const [name, load] of BUILTINS) assert.equal(shapeFault((await load()).default), undefined, name);
});

Deno.test.each([
  { what: "no export", value: undefined, fault: "the module has no default export" },
  { what: "a string", value: "check", fault: "the default export must be an object" },
  {
    what: "another kind",
    value: { ...CHECK, kind: "toString" },
    fault: "kind must be one of check, discovery, notifier, balancer",
  },
  {
    what: "a version that is not a number",
    value: { ...CHECK, apiVersion: "1" },
    fault: "apiVersion must be a number",
  },
  { what: "no name", value: { ...CHECK, name: undefined }, fault: "name must be a string" },
  { what: "no validator", value: { ...CHECK, config: {} }, fault: "config must be a Standard Schema" },
  { what: "no permissions", value: { ...CHECK, permissions: {} }, fault: "missing function permissions()" },
  { what: "no probe", value: { ...CHECK, probe: undefined }, fault: "missing function probe()" },
  {
    what: "a check with kind discovery",
    value: { ...CHECK, kind: "discovery" },
    fault: "missing function open()",
  },
  {
    what: "a discovery without capabilities",
    value: { ...CHECK, kind: "discovery", open: () => {} },
    fault: "capabilities must be a list that contains only watch, register, keys",
  },
  {
    what: "a discovery whose section has no validator",
    value: { ...CHECK, kind: "discovery", open: () => {}, capabilities: ["watch"], cluster: {} },
    fault: "cluster must be a Standard Schema",
  },
  { what: "a notifier without notify", value: { ...CHECK, kind: "notifier" }, fault: "missing function notify()" },
  {
    what: "another version, which the host rejects",
    value: { kind: "check", apiVersion: 2 },
    fault: undefined,
  },
])("shapeFault() rejects $what", ({ value, fault }) => assert.equal(shapeFault(value), fault));

Deno.test("the built-in plugins accept their own examples, and request only allowed permissions", async () => {
  for (const [key, load] of BUILTINS) {
    const plugin = (await load()).default;
    if (plugin.kind === "balancer") continue;
    assert.notEqual(plugin.example, undefined, key);
    const result = await plugin.config["~standard"].validate(plugin.example);
    assert.equal(result.issues, undefined, `${key}: ${JSON.stringify(result.issues)}`);
    if (result.issues !== undefined) continue;
    const scope = { instance: "x", target: "192.0.2.1:80" };
    const grant = decide(plugin.permissions(result.value, scope), {
      kind: plugin.kind,
      source: { module: `builtin:${key}`, origin: "builtin" },
      scope,
    });
    assert.deepEqual(grant.ok ? [] : grant.reasons, [], key);
  }
});
