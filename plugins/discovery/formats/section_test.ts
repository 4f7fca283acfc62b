import assert from "node:assert/strict";
import type { Schema } from "../../../mod.ts";
import etcd from "../etcd/mod.ts";
import zookeeper from "../zookeeper/mod.ts";
import type { FormatSection } from "./table.ts";

async function validated(schema: Schema<FormatSection> | undefined, value: unknown): Promise<FormatSection | string> {
  const result = await schema?.["~standard"].validate(value);
  return result !== undefined && "value" in result
    ? result.value as FormatSection
    : (result?.issues ?? []).map(({ message }) => message).join("\n");
}

for (const { name, cluster, service } of [etcd, zookeeper]) {
  Deno.test(`the section of ${name} has defaults for all, and its keys for each format`, async () => {
    const none = { path: undefined, format: "lighthouse", memberPrefix: undefined };
    assert.deepEqual(await validated(cluster, {}), none);
    assert.deepEqual(await validated(service, { path: "//a//b/", format: "address", port: "80" }), {
      ...none,
      path: "/a/b",
      format: "address",
      port: 80,
    });
    const serverset = { format: "serverset", endpoint: "http", member_prefix: "m-", shard: 0 };
    assert.deepEqual(await validated(cluster, serverset), {
      path: undefined,
      format: "serverset",
      endpoint: "http",
      memberPrefix: "m-",
      shard: 0,
    });
    assert.deepEqual(await validated(cluster, { format: "json", fields: { ip: "addr", weight: "w" } }), {
      ...none,
      format: "json",
      fields: { ip: "addr", port: "port", weight: "w" },
    });
    assert.equal((await validated(cluster, { format: "mesos-master" }) as FormatSection).format, "mesos-master");
  });

  Deno.test.each([
    { path: "a/b", says: /path: must be an absolute path, such as/ },
    { path: "/", says: /path: must be/ },
    { path: "/a\nb", says: /path: must be/ },
    {
      format: "xml",
      says: /format: must be lighthouse, address, key, nerve, serverset, curator, mesos-master or json/,
    },
    { port: 80, says: /port: must be absent when format is lighthouse/ },
    { format: "nerve", shard: 1, says: /shard: must be absent when format is nerve/ },
    { format: "serverset", fields: {}, says: /fields: must be absent when format is serverset/ },
    { format: "serverset", member_prefix: "a/b", says: /member_prefix: must be/ },
    { format: "serverset", endpoint: "a b", says: /endpoint: must be the name of an additional endpoint/ },
    { format: "json", fields: { adress: "x" }, says: /Unknown key fields.adress/ },
    { format: "json", fields: { ip: "" }, says: /fields.ip: must be a field name/ },
  ])(`the section of ${name} rejects $says`, async ({ says, ...section }) => {
    assert.match(String(await validated(cluster, section)), says);
    assert.match(String(await validated(service, section)), says);
  });

  Deno.test(`a service of ${name} is not written in a read-only format`, async () => {
    const says =
      /format: must be one that can be written: lighthouse, .*curator or json; current value is "mesos-master"/;
    assert.match(String(await validated(service, { format: "mesos-master" })), says);
  });
}
