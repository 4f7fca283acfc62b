import assert from "node:assert/strict";
import { skeletonOf } from "./skeleton.ts";

Deno.test("skeletonOf() gives each kind a plugin, tests, a README and the types, under the given name", () => {
  for (const kind of ["check", "discovery", "balancer", "notifier"] as const) {
    const files = skeletonOf(kind, "my_own");
    for (const path of ["mod.ts", "mod_test.ts", "README.md", "lighthouse.ts"]) assert.ok(files.has(path), path);
    assert.match(files.get("mod.ts") ?? "", /name: "my_own"/);
    const all = [...files.values()].join("");
    assert.doesNotMatch(all, new RegExp(`my_${kind}`));
    assert.doesNotMatch(all, /\.\.\/\.\.\//, "nothing leads out of its folder");
  }
});
