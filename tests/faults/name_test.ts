import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import {
  faultyEtcd,
  type FaultyRegistry,
  faultySerf,
  faultyStore,
  faultyZooKeeper,
} from "../support/faulty_registry.ts";
import { WHY_NO_MOUNT } from "../support/mount.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { TempDir } from "../support/temp_dir.ts";

/** The addresses of the registry's name, in the order of /etc/hosts. */
const [FIRST, SECOND] = ["127.0.0.11", "127.0.0.12"];
const HOSTS = `127.0.0.1 localhost\n${FIRST} registry.test\n${SECOND} registry.test\n`;

const REGISTRIES: readonly {
  readonly name: string;
  readonly make: (stack: AsyncDisposableStack) => Promise<FaultyRegistry>;
}[] = [
  { name: "zookeeper", make: faultyZooKeeper },
  { name: "etcd", make: faultyEtcd },
  { name: "etcd by API 2", make: (stack) => faultyEtcd(stack, { api: "v2" }) },
  { name: "lighthouse", make: faultyStore },
  { name: "serf", make: faultySerf },
];

Deno.test.each(REGISTRIES)(
  "$name has a host name with two addresses: the first is dead, then the second, then the first again: no request fails",
  { ignore: WHY_NO_MOUNT !== undefined },
  async ({ make }, t) => {
    await using stack = new AsyncDisposableStack();
    const registry = await make(stack);
    const dir = stack.use(new TempDir());
    const hosts = await dir.write("hosts", HOSTS);
    const first = stack.use(TcpProxy.start(registry.port, { at: { hostname: FIRST, port: 0 } }));
    const second = stack.use(TcpProxy.start(registry.port, { at: { hostname: SECOND, port: first.port } }));
    first.refuse();
    // A mount of this process's own: the machine's file is unchanged.
    const within = ["unshare", "--mount", "--propagation", "private", "sh", "-c"];
    await using stage = await FaultStage.set({
      registry: { type: registry.type, config: registry.file(`registry.test:${first.port}`) },
      within: [...within, 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", hosts],
    });
    const aftermath = await stage.during(async () => {
      for (const [dead, alive] of [[second, first], [first, second]] as const) {
        alive.resume();
        dead.refuse();
        await eventually("both hold connections to the other", () => alive.connections >= 2);
        await changesReach(stage);
      }
    });
    assertUnnoticed(t, aftermath);
  },
);
