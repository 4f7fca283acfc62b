import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { OutputHost } from "../support/output_host.ts";
import { V8_FLAGS } from "../support/lighthouse.ts";
import { print, quantile, usageOf } from "./figures.ts";

/** How many changes are measured for each output, each a join or a leave. */
const CHANGES = Number(Deno.env.get("CHANGES") ?? 20);
/** The nodes of the cluster. */
const SIZES = (Deno.env.get("SIZES") ?? "10,1000").split(",").map(Number);
/** Each change finds the budget of its cluster, and the interval between two reloads, at rest. */
const APART_MS = 150;

/** The outputs: how each is configured, and which file shows a node. */
const OUTPUTS: Readonly<Record<string, (host: OutputHost) => { readonly keys: object; readonly file: string }>> = {
  template: (host) => ({
    keys: { type: "template", files: [{ text: "{% for n in cluster.web.ready %}{{ n.address }}\n{% endfor %}" }] },
    file: host.dir.file("out"),
  }),
  ...Object.fromEntries(
    ["json", "envoy-eds"].map((format) => [format, (host: OutputHost) => ({
      keys: { type: "file", format, directory: host.dir.path },
      file: host.dir.file("web.json"),
    })]),
  ),
  ...Object.fromEntries(
    ["traefik", "prometheus", "hosts", "env"].map((format) => [format, (host: OutputHost) => ({
      keys: { type: "file", format, path: host.dir.file("out") },
      file: host.dir.file("out"),
    })]),
  ),
};

/** From the change of a node's file to the file on disk, and to the begin of the reload command, for each output. */
export async function outputs(): Promise<void> {
  for (const size of SIZES) {
    const rows = [];
    for (const name of Object.keys(OUTPUTS)) rows.push(...await measure(name, size));
    print(`A node's change to a file on disk, and to its reload command, cluster of ${size}, ${CHANGES} changes`, rows);
  }
  const memory = await templateMemory();
  print("A worker that renders templates (floor: an empty worker)", [
    { what: "memory", value: memory.workerMb ?? NaN, unit: "MB", floor: memory.emptyMb ?? NaN },
    { what: "time until the first rendering", value: memory.workerMs ?? NaN, unit: "ms", floor: memory.emptyMs ?? NaN },
    { what: "the host's part, memory", value: memory.hostMb ?? NaN, unit: "MB" },
    { what: "the host's part, time to load", value: memory.hostMs ?? NaN, unit: "ms" },
  ]);
}

async function measure(name: string, size: number) {
  await using host = new OutputHost();
  await host.prepare();
  for (let i = 0; i < size; i++) await host.addNode("web", 1_000 + i, addressOf(i));
  const begun = host.dir.file("begun");
  const { keys, file } = OUTPUTS[name]?.(host) ?? { keys: {}, file: "" };
  const reload = ["/bin/sh", "-c", `echo >> ${begun}`];
  const balancer = "files" in keys
    ? { ...keys, files: [{ ...(keys.files as object[])[0], dest: file, reload_command: reload }] }
    : { ...keys, reload_command: reload };
  await host.write("balancers/out", { ...balancer, clusters: "all", reload_interval: 0 });
  await using writer = Lighthouse.start("writer", host.configDir);
  const read = () => Deno.readTextFile(file).catch(() => "");
  const reloads = async () => (await Deno.stat(begun).catch(() => ({ size: 0 }))).size;
  const last = addressOf(size - 1).ip;
  await eventually("all nodes are there", async () => (await read()).includes(last) && await reloads() > 0, {
    deadlineMs: 120_000,
  });
  const [files, commands]: [number[], number[]] = [[], []];
  const { ip } = addressOf(60_000);
  for (let i = 0; i < CHANGES; i++) {
    await new Promise((resolve) => setTimeout(resolve, APART_MS));
    const isJoin = i % 2 === 0;
    const before = await reloads();
    const beganMs = performance.now();
    if (isJoin) await host.addNode("web", 999, { ip });
    else await Deno.remove(`${host.registryDir}/web/a.test:999.json`);
    await eventually("the file has it", async () => (await read()).includes(ip) === isJoin, { everyMs: 1 });
    files.push(performance.now() - beganMs);
    await eventually("the reload is begun", async () => await reloads() > before, { everyMs: 1 });
    commands.push(performance.now() - beganMs);
  }
  const rss = usageOf(writer.pid).rssMb;
  return [
    { what: `${name}: file on disk, p50`, value: quantile(files, 0.5), unit: "ms" },
    { what: `${name}: reload command begun, p50`, value: quantile(commands, 0.5), unit: "ms" },
    { what: `${name}: memory of the writer`, value: rss, unit: "MB" },
  ];
}

function addressOf(index: number): { readonly ip: string } {
  return { ip: `10.1.${index >> 8}.${index & 255}` };
}

async function templateMemory(): Promise<Record<string, number>> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...V8_FLAGS, new URL("./template_worker.ts", import.meta.url).pathname],
  }).output();
  if (!success) throw new Error(`The measurement failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
