/**
 * Checks the table of capabilities and the table of formats in
 * docs/config/discovery.md against what the plugins declare, what their files
 * take, and what each format writes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BUILTINS } from "../../workers/builtins.ts";
import type { DiscoveryPlugin, Node } from "../../mod.ts";
import { FORMAT_NAMES, formatIn, type FormatName, FORMATS } from "../../plugins/discovery/formats/table.ts";
import { isSecretKey } from "../../src/kernel/secret.ts";
import { keyFactsOf } from "../../src/kernel/schema.ts";
import { ShownByDocument } from "../support/shown_by.ts";

const PAGE = "docs/config/discovery.md";
const document = await ShownByDocument.read(PAGE, { heading: "Capabilities" });
const shown = await ShownByDocument.read(PAGE, { heading: "Tests of the capabilities" });
const formats = (await ShownByDocument.read(PAGE, { heading: "Formats" })).rows.slice(1);

const methods = document.rows.slice(1).map(([method = "", watch = "", dead = "", write = "", drain = "", tls = "", auth = "", keys = "", formats = ""]) => ({
  name: /`(\w+)`/.exec(method)?.[1] ?? assert.fail(method),
  title: method,
  ...{ watch, dead, write, drain, tls, auth, keys, formats },
}));

const named = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
const isYes = (cell: string) => /^yes\b/.test(cell);

async function pluginOf(name: string): Promise<DiscoveryPlugin> {
  const load = BUILTINS.get(`discovery/${name}`) ?? assert.fail(name);
  return (await load()).default as DiscoveryPlugin;
}

async function keysOf(name: string): Promise<readonly string[]> {
  const { schema } = await import(`../../plugins/discovery/${name}/config.ts`);
  return [...keyFactsOf(schema).keys()];
}

Deno.test("the capability table has a row for each discovery that ships, and all cells filled", () => {
  document.assertFilled(10);
  const shipped = [...BUILTINS.keys()].filter((key) => key.startsWith("discovery/")).map((key) => key.slice("discovery/".length));
  assert.deepEqual([...new Set(methods.map(({ name }) => name))].toSorted(), shipped.toSorted());
});

for (const { name, title, watch, dead, write, drain, tls, auth, keys, formats: of } of methods) {
  Deno.test(`the capability table says of ${title} what the plugin declares`, async () => {
    const { capabilities } = await pluginOf(name);
    assert.equal(watch !== "no", capabilities.includes("watch"), "watch");
    assert.equal(isYes(write), capabilities.includes("register"), "write");
    assert.equal(isYes(keys), capabilities.includes("keys"), "keys");
    // The contract: whatever registers takes a node that drains, as the conformance rules hold.
    if (capabilities.includes("register")) assert.ok(isYes(drain), "drain");
  });

  Deno.test(`the capability table says of ${title} what its file takes`, async () => {
    const known = await keysOf(name);
    for (const key of [...named(dead), ...named(auth)]) assert.ok(known.includes(key), `${key} is no key of ${name}`);
    assert.equal(isYes(tls), known.some((key) => key === "tls" || key === "ca"), "TLS");
    assert.equal(tls.includes("client certificate"), known.includes("tls.cert"), "client certificate");
    const secrets = known.filter((key) => key === "auth" || isSecretKey(key));
    assert.equal(auth.startsWith("none"), secrets.filter((key) => !key.startsWith("tls")).length === 0, secrets.join());
    for (const key of secrets.filter((each) => !/[.]/.test(each))) assert.ok(named(auth).includes(key), `${key} is a credential`);
    const { clusterSchema } = await import(`../../plugins/discovery/${name}/config.ts`);
    const takesFormat = clusterSchema !== undefined && keyFactsOf(clusterSchema).has("format");
    assert.equal(of.includes("(#formats)"), takesFormat, "formats");
  });
}

Deno.test("each cell of the capability table that promises something names tests, and all of them exist", async () => {
  shown.assertFilled(8);
  await shown.assertNamedExist();
  assert.deepEqual(shown.rows.slice(1).map(([method = ""]) => named(method)), methods.map(({ title }) => named(title)));
  for (const [at, { title, watch, dead, tls, auth, keys, formats: of }] of methods.entries()) {
    const promises = { watch, dead: dead === "never" ? "no" : dead, tls, auth, keys, formats: of.includes("(#formats)") ? "yes" : "no" };
    for (const [column, [what, cell]] of Object.entries(promises).entries()) {
      const shownBy = shown.rows[at + 1]?.[column + 1] ?? "";
      const isPromise = !/^(?:no|none\b.*)$/.test(cell);
      assert.equal(/\]\[[\w-]+\]/.test(shownBy), isPromise, `${title}: ${what}: ${cell}`);
    }
  }
});

Deno.test("the table of formats has a row for each format, and no other", () => {
  assert.deepEqual(formats.map(([name = ""]) => named(name)[0]), FORMAT_NAMES);
});

for (const [title = "", , , , weight = "", drain = ""] of formats) {
  const name = named(title)[0] as FormatName;
  Deno.test(`the table of formats says of ${title} how weight and draining are written`, () => {
    const fields = { ip: "ip", port: "port", weight: "weight", state: "state" };
    const format = formatIn({ format: name, ...name === "json" && { fields } }, "web");
    const isReadOnly = "isReadOnly" in FORMATS[name];
    assert.equal([weight, drain].every((cell) => cell.endsWith("read only")), isReadOnly);
    if (isReadOnly) return;
    const node: Node = { host: "web.example", ip: "10.0.0.5", port: 80, metadata: {} };
    const written = (more: Partial<Node>) => {
      const entry = format.write({ ...node, ...more });
      return entry && new TextDecoder().decode(entry.data);
    };
    assert.equal(written({ weight: 5 }) === written({}), weight === "none", "weight");
    const draining = written({ state: "drain" });
    assert.notEqual(draining, written({}), "draining");
    assert.equal(draining === undefined, drain === "the entry is removed", "draining");
    // What the cell shows as JSON is what is written, but for spaces.
    const shown = named(drain).filter((each) => each.startsWith('"'));
    for (const each of shown) assert.ok(draining?.replaceAll(" ", "").includes(each.replaceAll(" ", "")), `${each} in ${draining}`);
    const withoutField = formatIn({ format: name, ...name === "json" && { fields: { ip: "ip" } } }, "web").write({ ...node, state: "drain" });
    assert.equal(withoutField === undefined, drain.includes("the entry is removed"), "draining");
  });
}
