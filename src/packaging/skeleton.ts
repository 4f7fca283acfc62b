/**
 * Collects what `lighthouse plugin new` writes: the skeletons, and the
 * types of the contract, as strings. A compiled binary has no
 * source files to read them from; a test compares `src/skeleton/skeleton.json`
 * with this.
 *
 * @module
 */

const SKELETONS = ["balancer", "check", "discovery", "notifier"] as const;
/** The contract, and the types of the model that it uses. */
const CONTRACT = "src/plugin/contract.ts";
const NOUNS = {
  "src/model/endpoint.ts": ["Endpoint"],
  "src/model/node.ts": ["Json", "Peer", "NodeState", "Node"],
  "src/model/topology.ts": ["ClusterName", "ClusterFacts"],
} as const;

/** Reads all skeletons, by path: `check/mod.ts`; the types are `lighthouse.ts`. */
export async function collectSkeletons(root: URL): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = { "lighthouse.ts": await collectTypes(root) };
  for (const kind of SKELETONS) {
    const folder = new URL(`src/skeleton/${kind}/`, root);
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).toSorted();
    for (const name of names) {
      const text = await Deno.readTextFile(new URL(name, folder));
      files[`${kind}/${name}`] = text.replaceAll(`"../../../mod.ts"`, `"./lighthouse.ts"`);
    }
  }
  return files;
}

/** Makes one module of the contract and these types, without imports. */
async function collectTypes(root: URL): Promise<string> {
  const contract = await Deno.readTextFile(new URL(CONTRACT, root));
  const nouns: string[] = [];
  for (const [path, names] of Object.entries(NOUNS)) {
    const text = await Deno.readTextFile(new URL(path, root));
    for (const name of names) nouns.push(declarationOf(name, text, path));
  }
  const own = contract.replaceAll(/^import type .*\n/gm, "");
  if (/^import/m.test(own)) throw new Error(`${CONTRACT} must import only types, with one import per line`);
  return `// deno-lint-ignore-file -- written by lighthouse plugin new, not by hand\n${own.trimEnd()}\n\n${
    nouns.join("\n\n")
  }\n`;
}

/** Extracts an exported declaration with its comment: up to the next empty line. */
function declarationOf(name: string, text: string, path: string): string {
  const at = new RegExp(`^export (?:interface|type) ${name}\\b`, "m").exec(text)?.index;
  if (at === undefined) throw new Error(`${path} has no declaration of ${name}`);
  const end = text.indexOf("\n\n", at);
  return text.slice(text.lastIndexOf("/**", at), end < 0 ? undefined : end).trimEnd();
}
