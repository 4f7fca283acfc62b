import assert from "node:assert/strict";
import type { DiscoveryCapability } from "../plugin/contract.ts";
import { findClusterSources, sourceIn, type Sources } from "./cluster_source.ts";
import { onlySource } from "../model/registry_source.ts";

/** What the functions look at of a config, and no more. */
function sources(
  { discovery, clusters = {}, services = {} }: {
    readonly discovery: Readonly<Record<string, readonly DiscoveryCapability[]>>;
    readonly clusters?: Readonly<Record<string, string>>;
    readonly services?: Readonly<Record<string, string>>;
  },
): Sources {
  return {
    discovery: new Map(
      Object.entries(discovery).map(([name, capabilities]) => [name, {
        file: { name, type: name, config: {} },
        traits: { capabilities, sections: [] },
      }]),
    ),
    clusters: new Map(
      Object.entries(clusters).map(([name, discovery]) => [
        `file-${name}`,
        {
          cluster: { name, sources: [onlySource(discovery)], guard: { minNodes: 7 } },
          options: new Map([[discovery, { of: name }]]),
        },
      ]),
    ),
    services: new Map(
      Object.entries(services).map((
        [name, discovery],
      ) => [name, { service: { name, sources: [onlySource(discovery)] } }]),
    ),
  } as unknown as Sources;
}

const BOTH: readonly DiscoveryCapability[] = ["watch", "register"];
const TWO = { east: BOTH, west: BOTH };

Deno.test("a cluster is looked up in its file, then in the service of its name, then in the only registry", () => {
  const config = { discovery: TWO, clusters: { web: "west" }, services: { web: "east", api: "east" } };
  const found = (...args: Parameters<typeof findClusterSources>) => {
    const result = findClusterSources(...args);
    assert.ok(result.ok);
    const [source] = result.sources;
    assert.ok(source !== undefined);
    const { discovery, options, guard } = source;
    return [discovery.file.name, options, guard.minNodes];
  };
  assert.deepEqual(found(sources(config), "web"), ["west", { of: "web" }, 7]);
  assert.deepEqual(found(sources(config), "api"), ["east", undefined, 0]);
  assert.deepEqual(found(sources({ discovery: { east: BOTH, serial: ["keys"] } }), "any"), ["east", undefined, 0]);
  assert.deepEqual(found(sources(config), "web", "east"), ["east", undefined, 7], "a section is of one discovery");
});

Deno.test("a missing name is reported with a suggestion", () => {
  const config = sources({ discovery: { ...TWO, list: ["watch"] }, clusters: { web: "west", old: "gone" } });
  const reason = (found: ReturnType<typeof findClusterSources> | ReturnType<typeof sourceIn>) =>
    found.ok ? undefined : found.reason;
  assert.equal(
    reason(findClusterSources(config, "wab")),
    "No file in clusters/ or services/ defines cluster wab; did you mean web?",
  );
  assert.equal(
    reason(findClusterSources(config, "payments")),
    "No file in clusters/ or services/ defines cluster payments; pass --source to set its discovery",
  );
  assert.equal(reason(findClusterSources(config, "web", "eats")), "No valid discovery/eats.yaml: did you mean east?");
  assert.equal(reason(findClusterSources(config, "old")), "No valid discovery/gone.yaml");
  assert.equal(
    reason(sourceIn(config, "web", { named: "list", capability: "register" })),
    "discovery/list.yaml (list) cannot register",
  );
});
