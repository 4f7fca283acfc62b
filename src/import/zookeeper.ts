import type { ConfigFiles } from "./config_files.ts";
import type { Key } from "./report.ts";

/** The path that a discovery's file must name; each cluster and service has its own. */
const PATH = "/lighthouse/services";

/** Reads the servers and the path of a service or a cluster; the discovery is added unless there is one already. */
export function zookeeperRegistry(
  key: Key,
  { hosts, path, znode: given, files, resolvesNames = false }: {
    readonly hosts: string;
    /** The key of the path. */
    readonly path: string;
    /** The path, if it is made of several keys. */
    readonly znode?: string;
    readonly files: ConfigFiles;
    /** Whether entries have host names in the place of addresses. */
    readonly resolvesNames?: boolean;
  },
): { readonly discovery: string; readonly path: string } | undefined {
  const [servers, where] = [key.get(hosts), given === undefined ? key.get(path) : undefined];
  const list = servers?.texts?.flatMap((text) => text.split(",")).map((text) => text.trim()).filter((each) =>
    each !== ""
  );
  const valid = list !== undefined && list.length > 0 ? list : undefined;
  const znode = given ?? absolute(where?.text);
  servers?.take(valid, "a list of host:port", "hosts, in the discovery's file");
  where?.take(znode, "a path", "path, in the discovery's section");
  if (valid === undefined || znode === undefined) return undefined;
  // The same servers in another order are the same registry, unless a chroot follows the last.
  const sorted = valid.some((host) => host.includes("/")) ? valid : valid.toSorted();
  return {
    discovery: files.discovery("zookeeper", { hosts: sorted, path: PATH, ...resolvesNames && { resolve_names: true } }),
    path: znode,
  };
}

/** A path with a slash in front and none at its end. */
export function absolute(text: string | undefined): string | undefined {
  return text === undefined ? undefined : `/${text.split("/").filter((part) => part !== "").join("/")}`;
}
