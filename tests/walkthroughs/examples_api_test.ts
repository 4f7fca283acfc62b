import { setUp } from "../setup.ts";
import { followReadme } from "../support/example_stage.ts";

Deno.test("the walk-through of api_meta_cluster follows its README and leaves nothing behind", async () => {
  await setUp(["haproxy", "zookeeper", "redis"]);
  await followReadme({ name: "api_meta_cluster", network: "127.89.0" });
});
