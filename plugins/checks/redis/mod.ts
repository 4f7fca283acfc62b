import type { CheckPlugin, ProbeOutcome } from "../../../mod.ts";
import { MASK } from "../../../src/kernel/secret.ts";
import { type Connection, exchange, quoteBytes } from "../connection.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { RedisConfig } from "./config.ts";

/** Maximum size of a reply. */
const REPLY_BYTES_MAX = 16_384;

/** Explanations of error replies, by their first word. */
const HINTS: ReadonlyMap<string, string> = new Map([
  ["DENIED", "the server is in protected mode"],
  ["LOADING", "the server is still loading its data"],
  ["MASTERDOWN", "the replica has lost its link to the master"],
  ["MISCONF", "the server cannot save its data"],
  ["NOAUTH", "the server requires a password"],
  ["NOPERM", "the user has no permission to run PING"],
  ["WRONGPASS", "wrong username or password"],
]);

/** The check `redis`; its keys are in the README beside this file. */
const redis: CheckPlugin<RedisConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "redis",
  summary: "Passes when Redis responds to PING with PONG",
  stability: "stable",
  example: {},
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ tls, verify, ca }, { target }) => ({
    net: target === undefined ? [] : [target],
    ...(tls && verify && ca !== undefined && { read: [ca] }),
  }),
  probe(config, { target, signal }) {
    const { verify, ca, server_name: serverName } = config;
    const tls = config.tls ? { verify, ca, serverName } : undefined;
    return exchange(target, { signal, tls }, (connection) => ask(connection, config));
  },
};

export default redis;

async function ask(connection: Connection, { username, password }: RedisConfig): Promise<ProbeOutcome> {
  if (password !== undefined) {
    await connection.write(formatCommand(["AUTH", ...(username === undefined ? [] : [username]), password]));
    const failed = await fault(connection, "+OK", password);
    if (failed !== undefined) return { status: "fail", reason: failed };
  }
  await connection.write(formatCommand(["PING"]));
  const failed = await fault(connection, "+PONG", password);
  return failed === undefined ? { status: "pass", detail: "Got PONG" } : { status: "fail", reason: failed };
}

/** Formats a command for Redis: each word with its length, so that no password is mistaken for more. */
function formatCommand(words: readonly string[]): string {
  const parts = words.map((word) => `$${new TextEncoder().encode(word).length}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join("")}`;
}

/** Reads one reply; returns the fault, or `undefined` if it is the expected one. */
async function fault(connection: Connection, wanted: string, secret: string | undefined): Promise<string | undefined> {
  const { target } = connection;
  const { bytes, terminated } = await connection.readLine(REPLY_BYTES_MAX);
  if (bytes.length === 0 && !terminated) return `${target} closed the connection without a response`;
  const reply = new TextDecoder().decode(bytes).replace(/\r$/, "");
  if (terminated && reply === wanted) return undefined;
  // A server may quote an unknown command, password included.
  const shown = quoteBytes(new TextEncoder().encode(secret === undefined ? reply : reply.replaceAll(secret, MASK)));
  if (!terminated) return `${target} closed the connection in the middle of its response ${shown}`;
  const hint = HINTS.get(/^-([A-Z]+)/.exec(reply)?.[1] ?? "");
  return `Got ${shown} from ${target}${hint === undefined ? "" : `: ${hint}`}`;
}
