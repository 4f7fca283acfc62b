import assert from "node:assert/strict";
import type { DiscoveryPlugin, DiscoverySession, WatchOptions } from "../../mod.ts";
import etcdPlugin from "../../plugins/discovery/etcd/mod.ts";
import filePlugin from "../../plugins/discovery/file/mod.ts";
import lighthousePlugin from "../../plugins/discovery/lighthouse/mod.ts";
import serfPlugin from "../../plugins/discovery/serf/mod.ts";
import staticPlugin from "../../plugins/discovery/static/mod.ts";
import zookeeperPlugin from "../../plugins/discovery/zookeeper/mod.ts";
import { TestStore } from "../store/stage.ts";
import { Follower, RecordingContext } from "../support/discovery.ts";
import { NameServer } from "../support/dnsmasq.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { configured } from "../support/probe.ts";
import { Serf } from "../support/serf.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

// deno-lint-ignore no-explicit-any -- a plugin is used through its own validators, so its config types are opaque here.
type AnyDiscovery = DiscoveryPlugin<any, any, any>;

/** A registry with these nodes, each with a name in place of its address. */
interface Filled {
  readonly plugin: AnyDiscovery;
  readonly file: Readonly<Record<string, unknown>>;
  /** The section of the cluster. */
  readonly section?: Readonly<Record<string, unknown>>;
}

const PORT = 8080;
const nodeOf = (name: string) => ({ host: `${name.split(".")[0]}.host`, ip: name, port: PORT, metadata: {} });

/** All discoveries whose nodes may have names: as other tools write them. */
const REGISTRIES: Readonly<Record<string, (names: readonly string[], stack: AsyncDisposableStack) => Promise<Filled>>> =
  {
    async "etcd"(names, stack) {
      const server = stack.use(await Etcd.start());
      for (const name of names) await server.ctl("put", `/services/web/${name}`, JSON.stringify(nodeOf(name)));
      return { plugin: etcdPlugin, file: { endpoints: [server.address], prefix: "/services" } };
    },
    async "etcd by API 2"(names, stack) {
      const server = stack.use(await Etcd.start({ args: ["--enable-v2"] }));
      for (const name of names) {
        const body = new URLSearchParams({ value: JSON.stringify(nodeOf(name)) });
        const url = `http://${server.address}/v2/keys/services/web/${name}`;
        await (await fetch(url, { method: "PUT", body })).body?.cancel();
      }
      return { plugin: etcdPlugin, file: { endpoints: [server.address], prefix: "/services", api: "v2" } };
    },
    async "zookeeper"(names, stack) {
      const server = stack.use(await ZooKeeper.start());
      const kazoo = stack.use(await KazooPeer.start(server.address));
      for (const name of names) await kazoo.make(`/services/web/${name}`, JSON.stringify(nodeOf(name)));
      return { plugin: zookeeperPlugin, file: { hosts: server.address, path: "/services" } };
    },
    async "file"(names, stack) {
      const dir = stack.use(new TempDir("lighthouse-names-"));
      for (const name of names) await dir.write(`registry/web/${name}.json`, JSON.stringify(nodeOf(name)));
      return { plugin: filePlugin, file: { path: dir.file("registry") } };
    },
    async "lighthouse"(names, stack) {
      const store = stack.use(await TestStore.start());
      await store.commit([["PUT", "/services", {
        web: Object.fromEntries(names.map((name) => [name, nodeOf(name)])),
      }]]);
      return { plugin: lighthousePlugin, file: { hosts: new URL(store.url).host, path: "/services" } };
    },
    async "serf"(names, stack) {
      const first = stack.use(await Serf.start({ name: "reader.test" }));
      for (const name of names) {
        const tags = { web: String(PORT), at: name };
        stack.use(await Serf.start({ name: nodeOf(name).host, tags, join: [first] }));
      }
      await first.knows(names.length + 1);
      return { plugin: serfPlugin, file: { address: first.address }, section: { address_tag: "at" } };
    },
    "static"(names) {
      const nodes = names.map((name) => ({ address: name, host: nodeOf(name).host, port: PORT }));
      return Promise.resolve({ plugin: staticPlugin, file: {}, section: { nodes } });
    },
  };

Deno.test.each(Object.keys(REGISTRIES).map((name) => ({ name })))(
  "$name: names are resolved with resolve_names, and only those without an address are left out",
  async ({ name }) => {
    await using stack = new AsyncDisposableStack();
    const dns = stack.use(await NameServer.start(["host-record=a.example,10.0.0.1", "local=/example/"]));
    const make = REGISTRIES[name];
    assert.ok(make !== undefined);
    const filled = await make(["a.example", "gone.example", "10.0.0.9"], stack);
    const scope = { instance: "test", nameServers: [dns.target], searchDomains: [], ndots: 1 };
    const { follower, context, permissions } = await follow(filled, { resolve_names: true }, scope, stack);
    await eventually("they are read", () => {
      if (follower.error !== undefined) throw follower.error;
      return follower.snapshots.length > 0;
    });
    const seen = follower.snapshots.at(-1)?.nodes.map(({ host, ip }) => `${host} ${ip}`).toSorted();
    assert.deepEqual(seen, ["10.host 10.0.0.9", "a.host 10.0.0.1"]);
    assert.match(context.lines.join("\n"), /gone.host:8080": Cannot resolve gone.example: no such name/);
    assert.ok(permissions.net?.includes(dns.target), "the name server may be asked");
    assert.ok(permissions.read?.includes("/etc/hosts"), "the hosts file may be read");

    const without = await follow(filled, { resolve_names: false }, scope, stack);
    assert.ok(!without.permissions.net?.includes(dns.target));
    await eventually("they are read without names", () => without.follower.snapshots.length > 0);
    const addresses = without.follower.snapshots.at(-1)?.nodes.map(({ ip }) => ip);
    // Nodes of a cluster's file are delivered unchanged: the host drops those without an address.
    assert.deepEqual(addresses, name === "static" ? ["a.example", "gone.example", "10.0.0.9"] : ["10.0.0.9"]);
  },
);

/** Opens a session and follows its cluster. */
async function follow(
  { plugin, file, section }: Filled,
  more: Readonly<Record<string, unknown>>,
  scope: RecordingContext["scope"],
  stack: AsyncDisposableStack,
) {
  const context = Object.assign(new RecordingContext(), { scope });
  stack.defer(() => context.abort());
  const config = await configured(plugin, { ...file, ...more });
  const session: DiscoverySession = stack.use(await plugin.open(config, context));
  const options: WatchOptions = section === undefined || plugin.cluster === undefined
    ? {}
    : { config: await configured({ config: plugin.cluster }, section) };
  const follower = stack.use(new Follower(session, "web", options));
  return { follower, context, permissions: plugin.permissions(config, scope) };
}
