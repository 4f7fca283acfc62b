/**
 * Checks every key that takes a duration or a percentage, found by walking the
 * schemas, against one way of writing them and against the tables of the docs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { balancerSchema, clusterSchema as haproxySection } from "../../plugins/balancers/haproxy/config.ts";
import { balancerSchema as nginxSchema, clusterSchema as nginxSection } from "../../plugins/balancers/nginx/config.ts";
import { nodeCheckSchema } from "../../src/config/check_schema.ts";
import { clusterSchema } from "../../src/config/cluster_schema.ts";
import { serviceSchema } from "../../src/config/service_schema.ts";
import { combineSchema, sourceTrafficSchema } from "../../src/config/sources_schema.ts";
import { settingsSchema } from "../../src/config/settings_schema.ts";
import { parseDuration } from "../../src/kernel/duration.ts";
import { type HouseSchema, keyTypesOf } from "../../src/kernel/schema.ts";

const ROOT = new URL("../../", import.meta.url);

/** Which page of the docs has the keys of which schema, and where the schema's keys begin. */
const SCHEMAS: readonly { readonly page: string; readonly schema: HouseSchema<unknown>; readonly under?: string }[] = [
  { page: "lighthouse.md", schema: settingsSchema },
  { page: "services.md", schema: serviceSchema({ checkNames: ["http"], hasList: false }) },
  { page: "clusters.md", schema: clusterSchema },
  { page: "clusters.md", schema: combineSchema },
  { page: "clusters.md", schema: sourceTrafficSchema },
  { page: "clusters.md", schema: nodeCheckSchema },
  { page: "clusters.md", schema: haproxySection },
  { page: "clusters.md", schema: nginxSection },
  { page: "balancers.md", schema: balancerSchema },
  { page: "balancers.md", schema: nginxSchema },
  ...await pluginSchemas("discovery", "discovery.md"),
  ...await pluginSchemas("checks", "services.md"),
];

async function pluginSchemas(kind: string, page: string) {
  const schemas: { readonly page: string; readonly schema: HouseSchema<unknown> }[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(`plugins/${kind}/`, ROOT))) {
    // A folder that is no plugin has what plugins share.
    if (!isDirectory || !isPlugin(`plugins/${kind}/${name}`)) continue;
    const { schema } = await import(`../../plugins/${kind}/${name}/config.ts`);
    schemas.push({ page, schema });
  }
  return schemas;
}

function isPlugin(folder: string): boolean {
  return [...Deno.readDirSync(new URL(folder, ROOT))].some(({ name }) => name === "mod.ts");
}

const KEYS = SCHEMAS.flatMap(({ page, schema }) =>
  [...keyTypesOf(schema)].map(([key, type]) => ({ page, key, type, schema }))
);

/** What a schema has against a value at a path; what it misses elsewhere does not count. */
function complaints(schema: HouseSchema<unknown>, key: string, value: unknown): readonly string[] {
  const path = key.split(".").map((part) => part === "*" ? "any" : part);
  const whole = path.reduceRight<unknown>((inner, part) => ({ [part]: inner }), value);
  const result = schema["~standard"].validate(whole);
  if (!("issues" in result)) return [];
  return result.issues.filter((issue) => issue.path.join(".") === path.join(".")).map(({ message }) => message);
}

Deno.test("the schemas have durations and percentages", () => {
  const keys = KEYS.map(({ key }) => key);
  for (const key of ["checks.interval", "checks.http.timeout", "session_timeout", "ttl", "updates.quiet"]) {
    assert.ok(keys.includes(key), key);
  }
  for (const key of ["drain_timeout", "panic_threshold", "max_shrink_percent", "stats.timeouts.client"]) {
    assert.ok(keys.includes(key), key);
  }
});

Deno.test.each(KEYS)("$key of $page takes a $type as users write it", ({ key, type, schema }) => {
  const [complaint = ""] = complaints(schema, key, "2 fortnights");
  const wanted = type === "duration" ? /must be a duration from (\w+) to (\w+),/ : /must be a whole percentage from (\d+) to (\d+),/;
  const [, from = "", to = ""] = wanted.exec(complaint) ?? assert.fail(complaint);
  const spellings = type === "duration" ? [from, to, `${parseDuration(to)}ms`] : [from, `${from}%`, to, `${to}%`];
  for (const spelling of spellings) assert.deepEqual(complaints(schema, key, spelling), [], spelling);
});

Deno.test.each(KEYS)("docs/config/$page gives $key its type", async ({ page, key, type }) => {
  const text = await Deno.readTextFile(new URL(`docs/config/${page}`, ROOT));
  const last = key.split(".").at(-1);
  const rows = text.split("\n").filter((line) => new RegExp(`^\\| .*\`(?:[a-z_.]+\\.)?${last}\``).test(line));
  assert.ok(rows.some((row) => row.includes(`[${type}](README.md#durations-and-percentages)`)), rows.join("\n"));
});

Deno.test("docs/config calls no key a duration or a percentage that does not take one", async () => {
  for (const page of new Set(SCHEMAS.map((each) => each.page))) {
    const text = await Deno.readTextFile(new URL(`docs/config/${page}`, ROOT));
    for (const [, key = "", type] of text.matchAll(/^\| `([a-z_.]+)`[^|]*\| \[(duration|percentage)\]/gm)) {
      const found = KEYS.some((known) => known.page === page && known.type === type && `.${known.key}`.endsWith(`.${key}`));
      assert.ok(found, `${page}: ${key}`);
    }
    assert.doesNotMatch(text, /^\| `[^|]*\| (?:seconds|milliseconds|percent)/m, page);
  }
});
