import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { LOCAL_NAME_SERVICE, RESOLV_CONF_BYTES_MAX } from "../dns/resolv_conf.ts";
import { readNameService } from "./name_service.ts";

Deno.test("readNameService() reads the file, and falls back to this host without a usable one", async () => {
  await using temp = new TempDir();
  const file = temp.file("resolv.conf");
  assert.deepEqual(await readNameService(file), LOCAL_NAME_SERVICE);
  await temp.write("resolv.conf", "nameserver 10.0.0.2\nsearch a.int\n");
  assert.deepEqual(await readNameService(file), { nameServers: ["10.0.0.2:53"], searchDomains: ["a.int"], ndots: 1 });
  await temp.write("resolv.conf", `nameserver 10.0.0.2\n${"#".repeat(RESOLV_CONF_BYTES_MAX)}`);
  assert.deepEqual(await readNameService(file), LOCAL_NAME_SERVICE, "a file that is too long is none");
  assert.deepEqual(await readNameService(temp.path), LOCAL_NAME_SERVICE, "a directory is none");
});
