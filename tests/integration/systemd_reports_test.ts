/** What a daemon reports to systemd, received by a real datagram socket. */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { TASK_ARGS, TestHost } from "../support/lighthouse.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

Deno.test("a daemon reports to the service manager that it is ready, alive and stopping", async () => {
  await using host = new TestHost();
  await host.configure();
  const path = host.dir.file("notify.sock");
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  const reports: string[] = [];
  const reading = (async () => {
    for await (const [bytes] of socket) reports.push(new TextDecoder().decode(bytes));
  })();
  const until = (pattern: RegExp) =>
    eventually(`it reports ${pattern}`, () => reports.some((each) => pattern.test(each)));
  const child = new Deno.Command(Deno.execPath(), {
    args: [...TASK_ARGS, MAIN, "reporter", host.configDir, "--host", "test.host", "--ip", "127.0.0.1"],
    env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "400000" },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(/^READY=1\nSTATUS=0 clusters, 0 services$/);
  await until(/^WATCHDOG=1$/);
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await until(/^STOPPING=1\nSTATUS=Stopping$/);
  socket.close();
  await reading;
});
