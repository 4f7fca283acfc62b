/**
 * Renderings of config directories: a case is a file in `directories/`, with
 * `# why`, the members of clusters behind `=== nodes`, the files of the
 * directory, each behind `=== path`, a line `----`, the findings of `check`,
 * a line `----`, and the HAProxy file, which HAProxy itself must accept. What a
 * later version has otherwise stands behind that (`version_columns.ts`).
 * `UPDATE_GOLDEN=1` writes what is expected again, for the HAProxy that the tests run.
 *
 * Each file is compared with what 1.0 makes of the same directory too, less the
 * differences that are documented.
 *
 * @module
 */
import assert from "node:assert/strict";
import { composeWanted } from "../../src/membership/wanted.ts";
import { tryWanted } from "../../src/app/try_balancers.ts";
import { validateDirectory } from "../../src/app/validate.ts";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import type { Node } from "../../src/model/node.ts";
import type { Rendered, Wanted } from "../../src/plugin/contract.ts";
import { caseNames, readNode } from "../support/balancer_case.ts";
import { compareColumn } from "../support/version_columns.ts";
import { checkConfig, TEST_FQDN } from "../support/haproxy.ts";
import { HAPROXY_VERSION } from "../support/haproxy_version.ts";
import { lessDifferences, legacyText, readYaml, withoutTold } from "../support/legacy.ts";
import { TempDir } from "../support/temp_dir.ts";

const CASES = new URL("./directories/", import.meta.url);

/** The version whose file is compared with that of 1.0. */
const COMPARED = [2, 6, 12] as const;

const DISCOVERY = "hosts:\n  - 127.0.0.1:2181\npath: /lighthouse\n";

/** What a case is about. */
interface Given {
  /** The files of the directory, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** The members of each cluster. */
  readonly nodes: ReadonlyMap<string, readonly Node[]>;
  /** Whether 1.0 can make anything of it. */
  readonly isForLegacy: boolean;
}

Deno.test("the golden directories are at least as many as promised", () => {
  assert.ok(caseNames(CASES).length >= 25, `${caseNames(CASES).length}`);
});

for (const name of caseNames(CASES)) {
  const title = name.replace(".txt", "").replaceAll("-", " ");
  Deno.test(`the directory ${title} gives the golden HAProxy file, and the file of 1.0 apart from the differences`, async () => {
    const path = new URL(name, CASES);
    const [input = "", ...expected] = (await Deno.readTextFile(path)).split(/^----\n/m);
    const given = read(input);
    await using temp = new TempDir();
    for (const [path, text] of given.files) await temp.write(`config/${path}`, text);
    await temp.write("config/discovery/zookeeper.yaml", DISCOVERY);
    const { accepted, diagnostics } = await validateDirectory(temp.file("config"), { role: "writer" });
    const balancer = accepted?.balancers.get("haproxy");
    assert(accepted !== undefined && balancer !== undefined);
    const host = { fqdn: TEST_FQDN, ip: "10.0.9.9" };
    const asked: Wanted = { ...composeWanted("haproxy", balancer, accepted, given.nodes, host), version: HAPROXY_VERSION };
    const { target } = await tryWanted(asked, balancer);
    const text = onlyFile(await balancer.plugin.render(target)).text;
    const told = diagnostics.map((each) => `${formatDiagnostic(each).replaceAll(`${temp.path}/`, "")}\n`).join("");
    await compareColumn(path, { text: input, given, expected: expected.join("----\n") }, `${told}----\n${text}`);
    await checkConfig(text);
    if (given.isForLegacy) {
      compareWithLegacy(given, (directives) => {
        const config = { ...asked.config as Record<string, unknown>, directives };
        return balancer.plugin.render({ ...asked, version: COMPARED, config }) as Rendered;
      });
    }
  });
}

/** The one file of what was rendered, with its notices. */
function onlyFile({ files, notices }: Rendered) {
  const [{ text, origins = new Map() } = { text: "" }] = files.values();
  return { text, origins, notices };
}

/** Compares the rendering before HAProxy has rejected anything: 1.0 did not ask it. */
function compareWithLegacy(given: Given, render: (directives: "predecessor" | undefined) => Rendered): void {
  const files = [...given.files].map(([path, text]) => ({ path, file: readYaml<Record<string, never>>(text) }));
  const theirs = legacyText({
    balancer: files.find(({ path }) => path === "balancers/haproxy.yaml")?.file as never,
    clusters: files.flatMap(({ path, file }) => {
      const base = /^clusters\/(.*)\.ya?ml$/.exec(path)?.[1];
      if (base === undefined) return [];
      const name = file["name"] ?? base;
      return [{ name, file: file as never, nodes: given.nodes.get(name) ?? [] }];
    }),
    version: COMPARED,
  });
  assert.equal(lessDifferences(onlyFile(render("predecessor")).text), lessDifferences(theirs));
  assert.equal(lessDifferences(withoutTold(onlyFile(render(undefined)))), lessDifferences(theirs));
}

function read(input: string): Given {
  const [head = "", ...parts] = input.split(/^=== /m);
  const files = new Map(parts.map((part) => {
    const end = part.indexOf("\n");
    return [part.slice(0, end), part.slice(end + 1)];
  }));
  const nodes = readYaml<Record<string, readonly string[]> | null>(files.get("nodes") ?? "") ?? {};
  files.delete("nodes");
  return {
    files,
    nodes: new Map(Object.entries(nodes).map(([cluster, of]) => [cluster, of.map(readNode)])),
    isForLegacy: !/^# 1.0: none, /m.test(head),
  };
}
