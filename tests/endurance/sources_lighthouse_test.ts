import { survivesFaultsOfEach } from "../support/listed_registries.ts";

Deno.test("lighthouse and etcd (union): each is killed, paused and partitioned for longer than a session, and no request fails", async (t) => {
  await survivesFaultsOfEach({ name: "lighthouse", combine: "union", t });
});
