/**
 * The minimal program between a registry and HAProxy: after each event it sends one
 * command over a connection that stays open, and sets the weight of one server to the
 * number of events, modulo 256. It keeps no state, validates nothing, and writes no file.
 *
 * `deno run -A tests/bench/bare_reader.ts METHOD ADDRESS SOCKET BACKEND/SERVER`
 *
 * @module
 */
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";
import { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import { RAW_WATCHES } from "./raw_watches.ts";

const [method = "", address = "", socketFile = "", server = ""] = Deno.args;
const socket = await RuntimeSocket.connect(socketFile, { dialect: PROMPT, signal: new AbortController().signal });
let events = 0;
let last: Promise<unknown> = Promise.resolve();
await RAW_WATCHES[method]?.(address, () => {
  last = last.then(() => socket.ask([`set server ${server} weight ${++events % 256}`]));
});
Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
