import { survivesFaultsOfEach } from "../support/listed_registries.ts";

Deno.test("zookeeper and etcd (union): each is killed, paused and partitioned for longer than a session, and no request fails", async (t) => {
  await survivesFaultsOfEach({ name: "zookeeper", combine: "union", t });
});
