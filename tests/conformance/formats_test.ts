import { FORMAT_NAMES, type FormatName, FORMATS } from "../../plugins/discovery/formats/table.ts";
import type { Node } from "../../src/model/node.ts";
import { Etcd } from "../support/etcd.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { formatConforms } from "./suite.ts";

const SESSION_TIMEOUT_S = 5;

let zookeeper: ZooKeeper;
let etcd: Etcd;
Deno.test.beforeAll(async () => {
  [zookeeper, etcd] = await Promise.all([ZooKeeper.start(), Etcd.start()]);
});
Deno.test.afterAll(async () => {
  for (const server of [zookeeper, etcd]) await server[Symbol.asyncDispose]();
});

/** What a format keeps of a node besides its address. */
const KEPT: Partial<Readonly<Record<FormatName, (node: Node) => Partial<Node>>>> = {
  nerve: ({ host }) => ({ metadata: { name: host } }),
  json: ({ host, metadata }) => ({ host, metadata }),
};

const SECTIONS: Partial<Readonly<Record<FormatName, Readonly<Record<string, unknown>>>>> = {
  key: { port: 8001 },
  serverset: { endpoint: "http", shard: 1 },
  json: { fields: { ip: "addr", port: "p", host: "h", metadata: "m" } },
};

let paths = 0;
/** Each rule has a path of its own, so that one server will do. */
const registryOf = (config: () => Readonly<Record<string, unknown>>) => () =>
  Promise.resolve({
    config: { session_timeout: SESSION_TIMEOUT_S, ...config() },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

for (const format of FORMAT_NAMES.filter((name) => name !== "lighthouse" && !("isReadOnly" in FORMATS[name]))) {
  const section = { format, ...SECTIONS[format] };
  const carried = (node: Node): Node => {
    const { host, ip, port } = { ...node, host: node.ip };
    const more = format === "serverset" ? { metadata: { ports: { http: port }, shard: 1 } } : { metadata: {} };
    return { host, ip, port, ...more, ...KEPT[format]?.(node) };
  };
  const shared = { section, serviceSection: section, carried };
  formatConforms({
    ...shared,
    name: "zookeeper",
    title: `zookeeper with ${format}`,
    example: { hosts: ["127.0.0.1:1"], path: "/services" },
    registry: registryOf(() => ({ hosts: [zookeeper.address], path: `/conformance/${paths++}` })),
  });
  formatConforms({
    ...shared,
    name: "etcd",
    title: `etcd with ${format}`,
    example: { endpoints: ["127.0.0.1:1"] },
    registry: registryOf(() => ({ endpoints: [etcd.address], prefix: `/conformance/${paths++}` })),
  });
}
