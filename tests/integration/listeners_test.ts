import assert from "node:assert/strict";
import { TempDir } from "../support/temp_dir.ts";
import {
  findListeners,
  findSocketOwners,
  findUnixListenerOwners,
  parseListeners,
  parseOwners,
  parseUnixListeners,
} from "../../src/system/listeners.ts";

Deno.test("parseListeners() reads only the addresses of listening sockets, mapped ones as IPv4", () => {
  const row = (local: string, state: string, inode: number) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0 0 10 0`;
  const output = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    row("0100007F:1F40", "0A", 11),
    row("00000000:0050", "0A", 12),
    row("0100007F:1F41", "01", 13),
    row("00000000000000000000000000000000:0051", "0A", 14),
    row("0000000000000000FFFF00000200000A:0052", "0A", 15),
    row("B80D0120000000000000000001000000:0053", "0A", 16),
    "torn",
  ].join("\n");
  assert.deepEqual(parseListeners(output), [
    { host: "127.0.0.1", port: 8000, inode: "11" },
    { host: "0.0.0.0", port: 80, inode: "12" },
    { host: "0:0:0:0:0:0:0:0", port: 81, inode: "14" },
    { host: "10.0.0.2", port: 82, inode: "15" },
    { host: "2001:db8:0:0:0:0:0:1", port: 83, inode: "16" },
  ]);
});

Deno.test("parseUnixListeners() reads the inodes of sockets that listen at a path, not of connections", () => {
  const row = (flags: string, inode: number, path: string) =>
    `0000000000000000: 00000002 00000000 ${flags} 0001 01 ${inode} ${path}`;
  const output = [
    "Num       RefCount Protocol Flags    Type St Inode Path",
    row("00010000", 11, "/run/a b.sock"),
    row("00000000", 12, "/run/a b.sock"),
    row("00010000", 13, "/run/a b.sock.old"),
    row("00010000", 14, "@/run/a b.sock"),
  ].join("\n");
  assert.deepEqual(parseUnixListeners(output, "/run/a b.sock"), ["11"]);
});

Deno.test("findUnixListenerOwners() finds this process where it listens", async () => {
  await using dir = new TempDir();
  const path = dir.file("x.sock");
  assert.deepEqual(await findUnixListenerOwners(path), []);
  using _listener = Deno.listen({ transport: "unix", path });
  assert.deepEqual(await findUnixListenerOwners(path), [Deno.pid]);
});

Deno.test("parseOwners() returns who has a socket open, and which processes it could inspect", () => {
  const output = "/proc/7/fd:\n/proc/9/fd:\nlrwx------ 1 a a 64 Jan 1 00:00 3 -> socket:[11]\n" +
    "lrwx------ 1 a a 64 Jan 1 00:00 4 -> socket:[11]\n/proc/10/fd:\nlrwx------ 1 a a 64 Jan 1 00:00 3 -> socket:[11]\n";
  const { pids, readable } = parseOwners(output);
  assert.deepEqual([...pids], [["11", [9, 10]]]);
  assert.deepEqual([...readable], [7, 9, 10]);
});

Deno.test("a listener of this process is found, and so is its owner", async () => {
  for (const [hostname, host] of [["127.0.0.1", "127.0.0.1"], ["::1", "0:0:0:0:0:0:0:1"]] as const) {
    using listener = Deno.listen({ hostname, port: 0 });
    const found = (await findListeners())?.filter(({ port }) => port === listener.addr.port) ?? [];
    assert.deepEqual(found.map(({ host }) => host), [host]);
    const inode = found[0]?.inode ?? "";
    assert.deepEqual((await findSocketOwners([inode])).pids.get(inode), [Deno.pid]);
  }
});
