/**
 * What is rendered for HAProxy: a case is a file in `render/`, with YAML that
 * says why it is there and what is wanted, a line `----`, what HAProxy itself
 * refuses of it and the notices, a line `----`, and the config file without the
 * refused lines, which HAProxy accepts. `UPDATE_GOLDEN=1` writes the last two anew.
 *
 * `render/predecessor/` holds what the predecessor wrote for the inputs beside
 * it; ours must be the same but for the differences that `normalised` takes out.
 *
 * @module
 */
import assert from "node:assert/strict";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { render } from "../../plugins/balancers/haproxy/render.ts";
import { Executor } from "../../src/balance/executor.ts";
import { tryOut } from "../../src/balance/try_out.ts";
import type { Origin } from "../../src/plugin/contract.ts";
import { parseNode } from "../../src/model/node.ts";
import {
  type CaseCluster,
  caseNames,
  type CaseWanted,
  compareCase,
  readCase,
  wantedOf,
} from "../support/balancer_case.ts";
import { TEST_FQDN } from "../support/haproxy.ts";
import { TempDir } from "../support/temp_dir.ts";

const CASES = new URL("./render/", import.meta.url);
const PREDECESSOR = new URL("./render/predecessor/", import.meta.url);

interface RenderCase extends CaseWanted {
  /** Why the case is there. */
  readonly why: string;
}

Deno.test("the golden renderings are at least as many as promised", () => {
  assert.ok(caseNames(CASES).length >= 15, `${caseNames(CASES).length}`);
});

for (const name of caseNames(CASES)) {
  const title = name.replace(".txt", "").replaceAll("-", " ");
  Deno.test(`render() of ${title} is as in the golden file, less what HAProxy refuses`, async () => {
    const path = new URL(name, CASES);
    const golden = await readCase<RenderCase>(path);
    await using dir = new TempDir();
    const { target, refusals } = await tryOut(wantedOf(golden.given), {
      balancer: haproxy,
      effects: new Executor(),
      candidate: dir.file("candidate"),
      signal: new AbortController().signal,
    });
    const { text, notices } = render(target);
    const at = (origin: Origin | undefined) => origin === undefined ? "" : ` [${place(origin)}]`;
    const told = [
      ...refusals.flatMap(({ faults }) => faults.map(({ message, origin }) => `refused: ${message}${at(origin)}\n`)),
      ...notices.map(({ text, origin }) => `${text}${at(origin)}\n`),
    ];
    await compareCase(path, golden, `${told.join("")}----\n${text}`);
    const { success, output } = await checkFile(text);
    assert(success, output);
  });
}

for (const { name } of [...Deno.readDirSync(PREDECESSOR)].filter(({ name }) => name.endsWith(".json"))) {
  const title = name.replace(".json", "");

  Deno.test(`render() of the predecessor's ${title} differs only as documented`, async () => {
    const { ours, theirs } = await besidePredecessor(name, { directives: "predecessor" });
    assert.equal(normalised(ours.text), normalised(theirs));
  });

  Deno.test(`render() of the predecessor's ${title} has beside that only lines that a notice tells of`, async () => {
    const { ours, theirs } = await besidePredecessor(name, {});
    const told = new Set(
      ours.notices.flatMap(({ text, origin }) => / takes effect, /.test(text) && origin ? [place(origin)] : []),
    );
    const kept = ours.text.split("\n").filter((_, index) => {
      const origin = ours.origins.get(index + 1);
      return origin === undefined || !told.has(place(origin));
    });
    assert.equal(normalised(kept.join("\n")), normalised(theirs));
  });
}

/** Renders what the predecessor was given, and reads what it made of it. */
async function besidePredecessor(name: string, keys: Record<string, unknown>) {
  const given = JSON.parse(await Deno.readTextFile(new URL(name, PREDECESSOR))) as PredecessorInput;
  const theirs = await Deno.readTextFile(new URL(name.replace(".json", ".cfg"), PREDECESSOR));
  const ours = render(wantedOf({
    balancer: { ...given.balancer, ...keys },
    version: given.version.join("."),
    clusters: given.clusters.map(({ file, config, nodes }): CaseCluster => ({
      name: file,
      ...config.meta_cluster === undefined ? {} : { meta_cluster: config.meta_cluster },
      haproxy: config.haproxy,
      nodes: nodes.map(readPayload),
    })),
  }));
  return { ours, theirs };
}

/** A place in the config, in one word. */
function place({ cluster, path }: Origin): string {
  return [cluster ?? "", ...path].join("/");
}

/** What the predecessor was given. */
interface PredecessorInput {
  readonly balancer: Record<string, unknown>;
  readonly version: readonly number[];
  readonly clusters: readonly {
    readonly file: string;
    readonly config: { readonly meta_cluster?: string; readonly haproxy: Record<string, unknown> };
    /** As they stand in ZooKeeper. */
    readonly nodes: readonly string[];
  }[];
}

/** Reads a node as the predecessor writes it: JSON with JSON texts inside. */
function readPayload(payload: string) {
  const { metadata, peer, ...rest } = JSON.parse(payload);
  const parsed = parseNode({ ...rest, metadata: JSON.parse(metadata), peer: JSON.parse(peer) });
  assert(parsed.ok);
  return parsed.node;
}

/**
 * Takes out of a text what differs on purpose: the time in the head became a
 * hash; sections and the lines that come of clusters and nodes are sorted;
 * `listen stats :PORT` became a `bind` line, which HAProxy wants today; from
 * 1.8 on the sockets are handed over and the structure is marked; peers stand
 * there only where a line shares a table with them, as none does here. An empty
 * section leaves blank lines, which stand elsewhere when sorted.
 */
function normalised(text: string): string {
  const stanzas = text
    .replace(/^# Auto-generated by Lighthouse \(.*\)$/m, "# Auto-generated by Lighthouse")
    .replace(/^listen stats :([0-9]+)$/m, "listen stats\n\tbind :$1")
    .replace(/^(\tstats socket .*) expose-fd listeners$/m, "$1")
    .replace(/^\tsetenv LIGHTHOUSE_STRUCTURE .*\n/m, "")
    .split(/\n{2,}/)
    .map(sortChoices);
  const chapters = stanzas.reduce<string[][]>((found, stanza) => {
    if (stanza.startsWith("#\n# ")) found.push([stanza]);
    else found.at(-1)?.push(stanza.replace(/\n+$/, ""));
    return found;
  }, []);
  // `global` comes before `defaults`; all others come in the order of their clusters.
  return chapters.map(([head = "", ...stanzas]) => {
    const rest = head.includes("Per-cluster peer listings") ? [] : stanzas;
    return [head, ...head.includes("Auto-generated") ? rest : rest.toSorted()].join("\n\n");
  }).join("\n\n\n");
}

/** Sorts the pairs of lines by which a meta cluster's frontend chooses. */
function sortChoices(stanza: string): string {
  const choices = stanza.match(/^\tacl is_.*\n\tuse_backend .*$/gm) ?? [];
  const rest = choices.reduce((text, choice) => text.replace(`\n${choice}`, ""), stanza);
  return [rest, ...choices.toSorted()].join("\n");
}

/** Lets HAProxy judge a text. Paths of the text's own are not needed for that. */
async function checkFile(text: string): Promise<{ success: boolean; output: string }> {
  await using dir = new TempDir();
  const file = await dir.write("haproxy.cfg", text);
  const { success, stderr, stdout } = await new Deno.Command("haproxy", {
    args: ["-c", "-f", file, "-L", TEST_FQDN],
    stdin: "null",
  }).output();
  return { success, output: new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout) };
}
