import { parse } from "yaml";
import { type Example, type HostType, ROOT } from "./example.ts";
import type { Host } from "./fleet.ts";

/** What a host's files say of it, as far as an onlooker wants to know. */
export interface HostConfig {
  /** The services that it offers, one entry for each port. */
  readonly services: readonly { readonly name: string; readonly port: number }[];
  /** The clusters that it consumes, and where its applications reach them. */
  readonly clusters: readonly { readonly name: string; readonly reachedAt: string }[];
}

/** Where Lighthouse reads a host's configuration. */
export function configDir({ dir }: Pick<Host, "dir">): string {
  return `${dir}/config`;
}

/**
 * Writes a host's config directory: the example's files, with what is this
 * host's own in the places of 127.0.0.1 and /run/lighthouse, and the addresses
 * of other hosts in the places of their names.
 */
export async function writeConfig(
  host: Host,
  { example, type, addresses }: {
    readonly example: Example;
    readonly type: HostType;
    /** Hosts by the text that stands for them: `zk01:2181`, `partnerapi`. */
    readonly addresses: ReadonlyMap<string, string>;
  },
): Promise<void> {
  const files = new Map(["logging", "discovery/zookeeper", ...type.files ?? []].map((file) => [file, file]));
  files.set("balancers/haproxy", `balancers/${type.balancer ?? "haproxy"}`);
  for (const folder of ["balancers", "clusters", "discovery", "services"]) {
    await Deno.mkdir(`${configDir(host)}/${folder}`, { recursive: true });
  }
  await Deno.writeTextFile(`${configDir(host)}/host.yaml`, `name: ${host.name}\nip: ${host.address}\n`);
  const own = new Map([["127.0.0.1", host.address], ["/run/lighthouse", host.dir], ...addresses]);
  for (const [to, from] of files) {
    let text = await Deno.readTextFile(`${ROOT}examples/${example.name}/configs/${from}.yaml`);
    for (const [general, particular] of own) text = text.replaceAll(general, particular);
    await Deno.writeTextFile(`${configDir(host)}/${to}.yaml`, text);
  }
}

/** Reads what a host's files say by now: they may be edited while it runs. */
export async function readConfig(host: Host): Promise<HostConfig> {
  const metaPorts = await Array.fromAsync(
    objects(host, "balancers"),
    ({ file }) => Object.entries(file.meta_clusters ?? {}).map(([name, meta]) => [name, meta.port] as const),
  );
  const ports = new Map(metaPorts.flat());
  return {
    services: (await Array.fromAsync(
      objects(host, "services"),
      ({ name, file }) => [file.ports ?? file.port ?? []].flat().map((port) => ({ name, port })),
    )).flat().toSorted((a, b) => a.port - b.port),
    clusters: (await Array.fromAsync(objects(host, "clusters"), ({ name, file }) => ({
      name,
      reachedAt: file.meta_cluster === undefined
        ? `${host.address}:${file.haproxy?.port}`
        : `${host.address}:${ports.get(file.meta_cluster)} if ${file.haproxy?.acl}`,
    }))).toSorted((a, b) => a.name < b.name ? -1 : 1),
  };
}

/** The keys of the examples' files that are looked at here. */
interface ConfigFile {
  readonly name?: string;
  readonly port?: number;
  readonly ports?: readonly number[];
  readonly meta_cluster?: string;
  readonly meta_clusters?: Readonly<Record<string, { readonly port: number }>>;
  readonly haproxy?: { readonly port?: number; readonly acl?: string };
}

async function* objects(
  host: Host,
  folder: string,
): AsyncGenerator<{ readonly name: string; readonly file: ConfigFile }> {
  const dir = `${configDir(host)}/${folder}`;
  const entries = await Array.fromAsync(Deno.readDir(dir)).catch(() => []);
  for (const { name } of entries) {
    const stem = /^(.*)\.ya?ml$/.exec(name)?.[1];
    if (stem === undefined) continue;
    const file: ConfigFile = parse(await Deno.readTextFile(`${dir}/${name}`)) ?? {};
    yield { name: file.name ?? stem, file };
  }
}
