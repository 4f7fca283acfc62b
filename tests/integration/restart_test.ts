import assert from "node:assert/strict";
import { ZooKeeperClient } from "../../plugins/discovery/zookeeper/client.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import type { Endpoint } from "../../src/model/endpoint.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { checkModule } from "../support/plugin_source.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { TestStore } from "../store/stage.ts";

/** A check whose probe blocks its thread forever: two of them end the process with 75. */
const BUSY = checkModule(`for (;;);`);
/** Another one: a plugin that hung is not started again, so each leaves a single thread. */
const ENDLESS = checkModule(`while (true);`);

/** A registry, and whether it has a node of `web`. */
interface Registry extends AsyncDisposable {
  readonly name: string;
  readonly file: Record<string, unknown>;
  has(): Promise<boolean>;
}

async function zookeeper(): Promise<Registry> {
  const server = await ZooKeeper.start();
  const client = new ZooKeeperClient({
    hosts: [server.address as Endpoint],
    sessionTimeoutMs: 30_000,
    clock: systemClock,
    random: systemRandom,
    onEvent: () => {},
    onConnected: () => {},
    onDisconnected: () => {},
    onOver: () => {},
  });
  const { signal } = new AbortController();
  return {
    name: "zookeeper",
    file: { hosts: [server.address], path: "/services", session_timeout: 30 },
    has: async () => {
      const connection = await client.connected(signal);
      const children = await connection.getChildren("/services/web", { watch: false }).catch(() => []);
      return children.length > 0;
    },
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function store(): Promise<Registry> {
  const server = await TestStore.start();
  const { port } = server.server.address;
  return {
    name: "lighthouse",
    file: { hosts: [`127.0.0.1:${port}`], path: "/services", ttl: 30 },
    has: async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/data/services/web`);
      return (await answer.text()).includes('"port"');
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

Deno.test.each([{ what: "ZooKeeper", start: zookeeper }, { what: "a store", start: store }])(
  "exit status 75 leaves the nodes in $what until the next process has taken them over",
  async ({ start }) => {
    await using registry = await start();
    await using host = new TestHost();
    await using web = new WebService();
    await host.configure();
    await host.write(`discovery/${registry.name}`, registry.file);
    const service = (port: number, checks: Record<string, unknown>) => ({
      discovery: registry.name,
      port,
      checks: { interval: 0.1, ...checks },
    });
    await host.write("services/web", service(web.port, { http: { uri: "/health", rise: 1, fall: 3 } }));
    await using first = Lighthouse.startWith({ busy: BUSY, endless: ENDLESS }, host.configDir);
    await eventually("the node is registered", () => registry.has());

    let absences = 0;
    const over = new AbortController();
    const watching = (async () => {
      while (!over.signal.aborted) if (!await registry.has()) absences++;
    })();
    try {
      for (const [at, name] of ["busy", "endless"].entries()) {
        await host.write(`services/${name}`, service(1 + at, { [name]: { rise: 1, fall: 1, timeout: 0.1 } }));
      }
      assert.equal(await first.ended(), 75, first.log);
      for (const name of ["busy", "endless"]) await host.remove(`services/${name}`);
      await using second = Lighthouse.startWith({ busy: BUSY, endless: ENDLESS }, host.configDir);
      await second.event("registration.registered", { cluster: "web" });
      assert.equal(absences, 0, `${first.log}\n${second.log}`);
      over.abort();
      await watching;
      assert.equal(await second.stop(), 0, second.log);
      await eventually("an end in order deregisters", async () => !await registry.has());
    } finally {
      over.abort();
      await watching;
    }
  },
);
