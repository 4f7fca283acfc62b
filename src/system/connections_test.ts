import assert from "node:assert/strict";
import { parseConnections } from "./connections.ts";

const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0 20 4 30 10 -1
   2: 0100007F:D2F0 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 333 1 0 20 4 30 10 -1
   3: 0100007F:D2F2 0100007F:1F90 06 00000000:00000000 00:00000000 00000000  1000        0 0 1 0 20 4 30 10 -1
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000200007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 444 1
torn`;

Deno.test("parseConnections() reads only established connections, IPv4-mapped addresses as IPv4", () => {
  assert.deepEqual(parseConnections(TCP), [
    { local: { host: "127.0.0.1", port: 8080 }, remote: { host: "127.0.0.1", port: 54000 }, inode: "222" },
    { local: { host: "127.0.0.1", port: 54000 }, remote: { host: "127.0.0.1", port: 8080 }, inode: "333" },
    { local: { host: "127.0.0.1", port: 8081 }, remote: { host: "127.0.0.2", port: 80 }, inode: "444" },
  ]);
});
