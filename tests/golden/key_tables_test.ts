/**
  * Compares every table of keys, in `docs/config` and on the pages of the plugins,
  * with the schemas: the keys, their types, and their defaults.
  * Each key has one table; other pages link to it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { balancerSchema, clusterSchema as haproxySection } from "../../plugins/balancers/haproxy/config.ts";
import {
  balancerSchema as nginxSchema,
  clusterSchema as nginxSection,
} from "../../plugins/balancers/nginx/config.ts";
import { balancerSchema as fileBalancer } from "../../plugins/balancers/file/config.ts";
import { balancerSchema as supervisedBalancer } from "../../plugins/balancers/supervised/config.ts";
import { balancerSchema as templateBalancer } from "../../plugins/balancers/template/config.ts";
import { clusterSchema as etcdSection } from "../../plugins/discovery/etcd/config.ts";
import { clusterSchema as serfCluster, serviceSchema as serfService } from "../../plugins/discovery/serf/config.ts";
import { clusterSchema as staticSection } from "../../plugins/discovery/static/config.ts";
import { nodeCheckSchema } from "../../src/config/check_schema.ts";
import { clusterSchema } from "../../src/config/cluster_schema.ts";
import { serviceSchema } from "../../src/config/service_schema.ts";
import { combineSchema, sourceTrafficSchema } from "../../src/config/sources_schema.ts";
import { settingsSchema } from "../../src/config/settings_schema.ts";
import { parseDuration } from "../../src/kernel/duration.ts";
import { rulesSchema } from "../../src/notify/rules.ts";
import { type HouseSchema, type KeyFacts, keyFactsOf } from "../../src/kernel/schema.ts";

const ROOT = new URL("../../", import.meta.url);

/** The place where the keys of a schema are documented: a page, the heading of a section, and the form of its rows. */
interface Documented {
  readonly page: string;
  readonly heading?: string;
  /** A section with another part of the table. */
  readonly also?: string;
  readonly schema: HouseSchema<unknown>;
  /** The part of the schema whose keys they are: `checks.http.`. */
  readonly under?: string;
}

const TABLES: readonly Documented[] = [
  { page: "docs/config/lighthouse.md", schema: settingsSchema },
  { page: "docs/config/lighthouse.md", heading: "publishers", schema: settingsSchema, under: "publishers.*." },
  { page: "docs/config/clusters.md", also: "Guards", schema: clusterSchema },
  { page: "docs/config/clusters.md", heading: "traffic", schema: clusterSchema, under: "traffic." },
  { page: "docs/config/clusters.md", heading: "Checks of nodes", schema: nodeCheckSchema },
  { page: "docs/config/clusters.md", heading: "Several sources", schema: combineSchema },
  { page: "docs/config/clusters.md", heading: "traffic of a source", schema: sourceTrafficSchema },
  { page: "docs/config/services.md", schema: service() },
  { page: "docs/config/services.md", heading: "checks", schema: service(), under: "checks." },
  { page: "docs/config/services.md", heading: "A check", schema: service(), under: "checks.http." },
  { page: "docs/config/clusters.md", heading: "haproxy", schema: haproxySection },
  { page: "docs/config/clusters.md", heading: "static", schema: staticSection },
  { page: "docs/config/balancers.md", heading: "haproxy", schema: balancerSchema },
  { page: "docs/config/balancers.md", heading: "nginx", schema: nginxSchema },
  { page: "docs/config/clusters.md", heading: "nginx", schema: nginxSection },
  { page: "docs/config/outputs.md", heading: "template", schema: templateBalancer },
  { page: "docs/config/outputs.md", heading: "files of a template", schema: templateBalancer, under: "files.*." },
  { page: "docs/config/outputs.md", heading: "file", schema: fileBalancer },
  { page: "docs/config/outputs.md", heading: "supervised", schema: supervisedBalancer },
  { page: "docs/config/clusters.md", heading: "zookeeper and etcd", schema: etcdSection },
  { page: "docs/config/clusters.md", heading: "serf", schema: serfCluster },
  { page: "docs/config/services.md", heading: "serf", schema: serfService },
  { page: "docs/config/notifiers.md", heading: "Which events, and when", schema: rulesSchema },
  ...await pluginTables("notifiers", (name) => ({ page: "docs/config/notifiers.md", heading: name })),
  ...await pluginTables("discovery", (name) => ({ page: "docs/config/discovery.md", heading: name })),
  ...await pluginTables("checks", (name) => ({ page: `plugins/checks/${name}/README.md`, heading: "Keys" })),
];

function service(): HouseSchema<unknown> {
  return serviceSchema({ checkNames: ["http"], hasList: false });
}

async function pluginTables(kind: string, place: (name: string) => Omit<Documented, "schema">) {
  const tables: Documented[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(`plugins/${kind}/`, ROOT))) {
    // The folder that discoveries share has no keys of its own.
    if (!isDirectory || name === "formats") continue;
    const { schema } = await import(`../../plugins/${kind}/${name}/config.ts`);
    if (keyFactsOf(schema).size > 0) tables.push({ ...place(name), schema });
  }
  return tables;
}

/** One row: its text for each of the keys that it names. */
interface Row {
  readonly type: string;
  readonly default: string;
}

/** Reads the first table of each section. */
async function rowsOf({ also, ...main }: Documented): Promise<ReadonlyMap<string, Row>> {
  const own = await tableOf(main);
  return also === undefined ? own : new Map([...own, ...await tableOf({ page: main.page, heading: also })]);
}

async function tableOf({ page, heading }: Pick<Documented, "page" | "heading">): Promise<ReadonlyMap<string, Row>> {
  const text = await Deno.readTextFile(new URL(page, ROOT));
  const section = heading === undefined ? text : text.split(/^#{2,3} /m).find((each) => each.startsWith(`${heading}\n`));
  const rows = /^\| key +\|.*\n\| -.*\n((?:\|.*\n)+)/m.exec(section ?? "")?.[1]?.trim().split("\n") ??
    assert.fail(`${page} has no table of keys in ${heading}`);
  return new Map(rows.flatMap((row) => {
    const [, names = "", type = "", standard = ""] = row.split("|").map((cell) => cell.trim());
    return [...names.matchAll(/`([^`]+)`/g)].map(([, key = ""]) => [key, { type, default: standard }] as const);
  }));
}

/** The keys of a schema as a table names them: keys of maps are `NAME`, and list items have no row. */
function keysOf({ schema, under = "" }: Documented): ReadonlyMap<string, KeyFacts> {
  const entries = [...keyFactsOf(schema)].filter(([key]) => key.startsWith(under)).map(([key, facts]) =>
    [key.slice(under.length), facts] as const
  );
  return new Map(entries.flatMap(([key, facts]) => {
    const isShown = !/upstreams\.\*|^files\.|^labels\.|^http\.|^auth\.|^publishers\.|timeouts\.|^checks\.|^traffic\./.test(key) &&
      (key !== "http" || facts.type !== "strict_object");
    return isShown ? [[key.replaceAll("*", "NAME"), facts] as const] : [];
  }));
}

/** The tables' words for valibot's. */
const TYPES: Readonly<Record<string, RegExp>> = {
  duration: /\[duration\]\((?:\.\.\/)*(?:docs\/config\/)?README\.md#durations-and-percentages\)/,
  percentage: /\[percentage\]\(README\.md#durations-and-percentages\)/,
  boolean: /^(?:boolean|true or false)$/,
  record: /\bmap\b/,
  strict_object: /\bmap\b/,
  array: /\blist\b/,
};

for (const table of TABLES) {
  const name = `${table.page}${table.heading === undefined ? "" : `, ${table.heading}`}`;

  Deno.test(`the key table of ${name} has each key of the schema and no other`, async () => {
    const extra = [...(await rowsOf(table)).keys()].filter((key) =>
      key !== "type" || keysOf(table).has("type")
    );
    assert.deepEqual(extra.toSorted(), [...keysOf(table).keys()].toSorted());
  });

  Deno.test(`the key table of ${name} gives each key the type of the schema`, async () => {
    const rows = await rowsOf(table);
    for (const [key, { type }] of keysOf(table)) {
      const said = rows.get(key)?.type ?? "";
      const wanted = TYPES[type];
      if (wanted !== undefined) assert.match(said, wanted, key);
      for (const only of ["duration", "percentage"]) if (type !== only) assert.ok(!said.includes(`[${only}]`), key);
    }
  });

  Deno.test(`the key table of ${name} gives each key the default of the schema`, async () => {
    const rows = await rowsOf(table);
    for (const [key, facts] of keysOf(table)) {
      const said = rows.get(key)?.default ?? "";
      assert.equal(/^[*_]required[*_]$/.test(said), facts.isNeeded, `${key} is required: ${said}`);
      const value = facts.default;
      const isEmpty = value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
      if (facts.isNeeded || isEmpty) continue;
      if (facts.type === "duration" && parseDuration(said.replaceAll("`", "").split(":")[0] ?? "") === Number(value) * 1_000) continue;
      const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
      assert.ok(said.startsWith(`\`${shown}\``), `${key} is ${shown} by default: ${said}`);
    }
  });
}

Deno.test("each key of a plugin has one table: discoveries and balancers link to it, and services.md has none of a check", async () => {
  for (const kind of ["discovery", "balancers"]) {
    for await (const { name, isDirectory } of Deno.readDir(new URL(`plugins/${kind}/`, ROOT))) {
      // Folders that several plugins share have no page of their own.
      if (!isDirectory || name === "formats" || name === "outputs") continue;
      const text = await Deno.readTextFile(new URL(`plugins/${kind}/${name}/README.md`, ROOT));
      assert.doesNotMatch(text, /^\| key +\|/m, name);
      assert.match(text, new RegExp(`docs/config/\\w+\\.md#${name}\\b`), name);
    }
  }
  const headings = TABLES.map(({ page, heading }) => `${page}#${heading}`);
  assert.deepEqual(headings.toSorted(), [...new Set(headings)].toSorted());
  const text = await Deno.readTextFile(new URL("docs/config/services.md", ROOT));
  for await (const { name, isDirectory } of Deno.readDir(new URL("plugins/checks/", ROOT))) {
    if (isDirectory) assert.doesNotMatch(text, new RegExp(`^#+ \`?${name}\`?\\n(?:(?!^#).*\\n)*\\| key +\\|`, "m"), name);
  }
});
