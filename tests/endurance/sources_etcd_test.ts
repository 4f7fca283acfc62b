import { survivesFaultsOfEach } from "../support/listed_registries.ts";

Deno.test("etcd and a second etcd (union): each is killed, paused and partitioned for longer than a session, and no request fails", async (t) => {
  await survivesFaultsOfEach({ name: "etcd", combine: "union", t });
});
