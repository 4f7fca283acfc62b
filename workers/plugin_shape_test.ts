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

Deno.test("shapeFault() has nothing against the plugins that ship", async () => {
  for (const [name, load] of BUILTINS) assert.equal(shapeFault((await load()).default), undefined, name);
});

Deno.test.each([
  { what: "no export", value: undefined, fault: "it has no default export" },
  { what: "a text", value: "check", fault: "its default export is no object" },
  {
    what: "another kind",
    value: { ...CHECK, kind: "toString" },
    fault: "its kind is none of check, discovery, notifier, balancer",
  },
  { what: "a version that is no number", value: { ...CHECK, apiVersion: "1" }, fault: "its apiVersion is no number" },
  { what: "no name", value: { ...CHECK, name: undefined }, fault: "its name is no text" },
  { what: "no validator", value: { ...CHECK, config: {} }, fault: "its config is no Standard Schema" },
  { what: "no permissions", value: { ...CHECK, permissions: {} }, fault: "it has no function permissions()" },
  { what: "no probe", value: { ...CHECK, probe: undefined }, fault: "it has no function probe()" },
  {
    what: "a check that calls itself a discovery",
    value: { ...CHECK, kind: "discovery" },
    fault: "it has no function open()",
  },
  {
    what: "a discovery that does not say what it can do",
    value: { ...CHECK, kind: "discovery", open: () => {} },
    fault: "its capabilities are no list of watch, register, keys",
  },
  {
    what: "a discovery whose section has no validator",
    value: { ...CHECK, kind: "discovery", open: () => {}, capabilities: ["watch"], cluster: {} },
    fault: "its cluster is no Standard Schema",
  },
  { what: "a notifier without notify", value: { ...CHECK, kind: "notifier" }, fault: "it has no function notify()" },
  {
    what: "nothing of another version, which its host judges",
    value: { kind: "check", apiVersion: 2 },
    fault: undefined,
  },
])("shapeFault() refuses $what", ({ value, fault }) => assert.equal(shapeFault(value), fault));

Deno.test("the plugins that ship take their own examples, and ask for nothing but what they may have", async () => {
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
