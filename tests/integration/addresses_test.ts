import assert from "node:assert/strict";
import { WHY_NO_MOUNT } from "../support/mount.ts";
import { WHY_NO_NAMESPACE } from "../support/network_namespace.ts";
import { TempDir } from "../support/temp_dir.ts";
import { DEAD, HOLE, HOLE_PORT, LIVE } from "./addresses/names.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Makes a network namespace in which names have several addresses and one of these drops packets. */
const WITHIN = `
set -e
ip link set lo up
mount --bind "$1" /etc/hosts
nft add table inet hole
nft 'add chain inet hole in { type filter hook input priority 0; }'
nft add rule inet hole in tcp dport ${HOLE_PORT} ip daddr ${HOLE} drop
shift
exec "$@"
`;

/** The /etc/hosts of that network; the first address is the one that does not answer. */
const HOSTS = `127.0.0.1 localhost
${DEAD.first} first.test
${LIVE.first} first.test
${DEAD.second} second.test
${LIVE.second} second.test
${HOLE} hole.test
${LIVE.first} hole.test
127.0.0.21 three.test
127.0.0.22 three.test
127.0.0.23 three.test
`;

Deno.test({
  name: "connections try all addresses of a host name, with permission for the name alone",
  ignore: WHY_NO_NAMESPACE !== undefined || WHY_NO_MOUNT !== undefined,
  async fn() {
    await using dir = new TempDir("lighthouse-addresses-");
    const hosts = await dir.write("hosts", HOSTS);
    const test = [Deno.execPath(), "test", "--allow-all", "--no-check", `${ROOT}tests/integration/addresses/within.ts`];
    const { success, stdout, stderr } = await new Deno.Command("unshare", {
      args: ["--net", "--mount", "--propagation", "private", "sh", "-c", WITHIN, "sh", hosts, ...test],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    assert.ok(success, `${new TextDecoder().decode(stdout)}\n${new TextDecoder().decode(stderr)}`);
  },
});
