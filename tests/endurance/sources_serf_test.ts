import { survivesFaultsOfEach } from "../support/listed_registries.ts";

Deno.test("serf and etcd (all): each is killed, paused and partitioned for longer than a session, and no request fails", async (t) => {
  await survivesFaultsOfEach({ name: "serf", combine: "all", t });
});
