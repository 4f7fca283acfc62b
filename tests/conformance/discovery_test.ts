import { TestStore } from "../store/stage.ts";
import { Etcd } from "../support/etcd.ts";
import { Serf } from "../support/serf.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { discoveryConforms } from "./suite.ts";

const SESSION_TIMEOUT_S = 5;

let zookeeper: ZooKeeper;
let etcd: Etcd;
let etcdOfApi2: Etcd;
Deno.test.beforeAll(async () => {
  [zookeeper, etcd, etcdOfApi2] = await Promise.all([
    ZooKeeper.start(),
    Etcd.start(),
    Etcd.start({ args: ["--enable-v2"] }),
  ]);
});
Deno.test.afterAll(async () => {
  for (const server of [zookeeper, etcd, etcdOfApi2]) await server[Symbol.asyncDispose]();
});

let paths = 0;
/** Each rule has a path of its own, so that one server is enough; it keeps the server. */
const ofOwnPath = (config: (path: string) => Readonly<Record<string, unknown>>) => () =>
  Promise.resolve({
    config: { session_timeout: SESSION_TIMEOUT_S, ...config(`/conformance/${paths++}`) },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

discoveryConforms({
  name: "zookeeper",
  example: { hosts: ["127.0.0.1:1"], path: "/services", session_timeout: SESSION_TIMEOUT_S },
  registry: ofOwnPath((path) => ({ hosts: [zookeeper.address], path })),
});

discoveryConforms({
  name: "etcd",
  example: { endpoints: ["127.0.0.1:1"], session_timeout: SESSION_TIMEOUT_S },
  registry: ofOwnPath((prefix) => ({ endpoints: [etcd.address], prefix })),
});

discoveryConforms({
  name: "etcd",
  title: "etcd by its API 2",
  example: { endpoints: ["127.0.0.1:1"], session_timeout: SESSION_TIMEOUT_S, api: "v2" },
  registry: ofOwnPath((prefix) => ({ endpoints: [etcdOfApi2.address], prefix, api: "v2" })),
});

discoveryConforms({
  name: "file",
  example: { path: "/var/lib/lighthouse/registry" },
  registry: () => {
    const dir = new TempDir("lighthouse-registry-");
    return Promise.resolve({ config: { path: dir.path }, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() });
  },
});

discoveryConforms({
  name: "lighthouse",
  example: { hosts: ["127.0.0.1:1"], path: "/services", ttl: 5 },
  registry: async () => {
    const store = await TestStore.start();
    const config = { hosts: [`127.0.0.1:${store.server.address.port}`], path: "/services", ttl: 5 };
    return { config, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
  },
});

discoveryConforms({
  name: "static",
  example: {},
  capabilities: ["watch"],
  section: { nodes: ["192.0.2.1:8001"] },
  registry: () => Promise.resolve({ config: {}, [Symbol.asyncDispose]: () => Promise.resolve() }),
  place: (_registry, nodes) =>
    Promise.resolve({ nodes: nodes.map(({ host, ip, port }) => ({ host, address: ip, port })) }),
});

discoveryConforms({
  name: "serf",
  example: { address: "127.0.0.1:1" },
  // A node's name and address are those of the agent's member.
  carried: ({ host, ip, port }) => ({ host, ip, port, metadata: {} }),
  registry: async () => {
    const agent = await Serf.start({ name: "one.example", args: ["-advertise=192.0.2.1"] });
    return { config: { address: agent.address }, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
  },
});
