import type { CheckPlugin, ProbeOutcome } from "../../../mod.ts";
import { type Connection, exchange, quoteBytes } from "../connection.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { TcpConfig } from "./config.ts";

/** Maximum size of an answer. */
const ANSWER_BYTES_MAX = 65_536;

/** The check `tcp`; its keys are in the README beside this file. */
const tcp: CheckPlugin<TcpConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "tcp",
  summary: "Passes when a connection succeeds, or a query gets the expected response",
  stability: "stable",
  example: { query: "PING", response: "PONG" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: (_config, { target }) => ({ net: target === undefined ? [] : [target] }),
  probe(config, { target, signal }) {
    return exchange(target, { signal }, (connection) => ask(connection, config));
  },
};

export default tcp;

async function ask(connection: Connection, { query = "", response = "" }: TcpConfig): Promise<ProbeOutcome> {
  if (query === "") return { status: "pass", detail: "Connected" };
  await connection.write(query);
  const { bytes, terminated } = await connection.readLine(ANSWER_BYTES_MAX);
  if (bytes.length === 0 && !terminated) {
    const reason = `${connection.target} closed the connection without a response, expected ${quoteText(response)}`;
    return { status: "fail", reason };
  }
  const wanted = new TextEncoder().encode(response);
  // In 1.0 the config must contain the carriage return of CR LF; here it may be omitted.
  const passes = equals(bytes, wanted) || (bytes.at(-1) === 0x0d && equals(bytes.subarray(0, -1), wanted));
  return passes
    ? { status: "pass", detail: `Got ${quoteBytes(bytes)}` }
    : { status: "fail", reason: `Got ${quoteBytes(bytes)} from ${connection.target}, expected ${quoteText(response)}` };
}

function quoteText(text: string): string {
  return quoteBytes(new TextEncoder().encode(text));
}

function equals(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
