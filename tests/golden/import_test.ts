/**
 * What `lighthouse import` makes of the configs of other tools: a case is a
 * folder in `import/` with the input (`input/`), the files that are written
 * (`config/`) and the report. `UPDATE_GOLDEN=1` writes the last two again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { TempDir } from "../support/temp_dir.ts";

const CASES = new URL("./import/", import.meta.url).pathname;

/** Options of aurproxy. */
const OPTIONS = [
  "--management-port=31325",
  "--max_update_frequency=5",
  "--registration-class=aurproxy.register.elb.ElbSelfRegisterer",
  "--registration-arg=region=us-east-1",
  ...["--mirror_source", '{"source_class": "a.StaticProxySource", "name": "gor", "host": "10.0.7.1", "port": 28020}'],
  ...["--mirror_ports", "8080", "--mirror_max_qps", "100"],
];

/** The kind, and what is behind `--out DIR`, by the name of the case. */
const ARGUMENTS: Readonly<Record<string, (input: string) => readonly [kind: string, ...rest: readonly string[]]>> = {
  aurproxy: (input) => ["aurproxy", "--", "run", ...OPTIONS, `--config=file://${input}/config.json`],
  "aurproxy-haproxy": (input) => ["aurproxy", "--balancer=haproxy", "--", "run", `--config=file://${input}/config.json`],
  confd: (input) => ["confd", input, "--", "/usr/bin/confd", "-backend=etcd", "-node", "http://x", "-watch"],
  nerve: (input) => ["nerve", `${input}/nerve.conf.json`],
  synapse: (input) => ["synapse", `${input}/synapse.conf.yaml`],
};

Deno.test("each case of an import has arguments", () => {
  const names = [...Deno.readDirSync(CASES)].map(({ name }) => name).toSorted();
  assert.deepEqual(names, Object.keys(ARGUMENTS).toSorted());
});

for (const [name, argumentsOf] of Object.entries(ARGUMENTS)) {
  Deno.test(`an import writes a valid config, matches the golden files and report, and leaves its input unchanged: ${name}`, async () => {
    const folder = `${CASES}${name}`;
    await using temp = new TempDir();
    const out = temp.file("config");
    const [kind, ...rest] = argumentsOf(`${folder}/input`);
    const before = await tree(`${folder}/input`);
    const { code, stdout, stderr } = await runCli(["import", kind, "--out", out, ...rest]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    assert.deepEqual(await tree(`${folder}/input`), before);
    const report = stdout.replaceAll(folder, "").replaceAll(out, "DIR");
    const files = new Map(
      [...await tree(out)].map(([path, text]) => [path, text.replaceAll(folder, "")]),
    );
    if (Deno.env.get("UPDATE_GOLDEN") === "1") {
      await Deno.remove(`${folder}/config`, { recursive: true }).catch(() => {});
      for (const [path, text] of files) {
        await Deno.mkdir(`${folder}/config/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
        await Deno.writeTextFile(`${folder}/config/${path}`, text);
      }
      await Deno.writeTextFile(`${folder}/report.txt`, report);
    }
    assert.equal(report, await Deno.readTextFile(`${folder}/report.txt`));
    assert.deepEqual([...files], [...await tree(`${folder}/config`)]);
    const checked = await runCli(["check", "--no-resolve", out]);
    assert.equal(checked.code, 0, checked.stdout);
  });
}

/** The files below a folder by their paths, sorted. */
async function tree(folder: string, under = ""): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await Array.fromAsync(Deno.readDir(`${folder}/${under}`))) {
    const path = `${under}${entry.name}`;
    if (entry.isFile) files.set(path, await Deno.readTextFile(`${folder}/${path}`));
    else for (const [inner, text] of await tree(folder, `${path}/`)) files.set(inner, text);
  }
  return new Map([...files].toSorted(([a], [b]) => a < b ? -1 : 1));
}
