/**
 * What nobody can be faster than with the same wake-ups: a thread that watches
 * and reads, one that sends the commands over a connection that it holds. It
 * remembers nothing, checks nothing, and writes no file.
 *
 * `deno run -A tests/bench/bare_writer.ts ZOOKEEPER PATH SOCKET BACKEND`
 *
 * @module
 */
import { freeServerId } from "../../plugins/balancers/haproxy/backend.ts";
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";
import { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import type { BareChange } from "./bare_watch.ts";

const [server = "", path = "", socketFile = "", backend = ""] = Deno.args;
const socket = await RuntimeSocket.connect(socketFile, { dialect: PROMPT, signal: new AbortController().signal });
const worker = new Worker(new URL("./bare_watch.ts", import.meta.url), { type: "module" });
let last = Promise.resolve<unknown>(undefined);
worker.onmessage = ({ data: { added, removed } }: MessageEvent<BareChange>) => {
  const commands = [
    ...added.flatMap(([name, address]) => [
      `add server ${backend}/${name} ${address} id ${freeServerId(name, new Set())}`,
      `set server ${backend}/${name} state ready`,
    ]),
    ...removed.flatMap((name) => [`set server ${backend}/${name} state maint`, `del server ${backend}/${name}`]),
  ];
  last = last.then(() => commands.length === 0 ? undefined : socket.ask(commands));
  if (commands.length === 0) Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
};
worker.postMessage({ server, path });
