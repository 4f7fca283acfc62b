import assert from "node:assert/strict";
import { BUILTINS } from "../../workers/builtins.ts";

Deno.test("every built-in plugin is tested by the conformance suite", async () => {
  const texts = await Promise.all(
    ["balancers", "checks", "discovery", "notifiers"].map((file) =>
      Deno.readTextFile(new URL(`${file}_test.ts`, import.meta.url))
    ),
  );
  const tested = texts.join("").matchAll(/^(check|discovery|balancer|notifier)Conforms\(\{\n {2}name: "(\w+)"/gm);
  assert.deepEqual(
    [...new Set([...tested].map(([, kind, name]) => `${kind}/${name}`))].toSorted(),
    [...BUILTINS.keys()].toSorted(),
  );
});
