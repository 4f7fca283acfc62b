import type { CheckPlugin, Endpoint, ProbeOutcome } from "../../../mod.ts";
import { type Connection, exchange, quoteBytes } from "../connection.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { HttpConfig, StatusRange } from "./config.ts";
import { BODY_BYTES_MAX, contains, formatRequest, type Head, readBody, readHead } from "./message.ts";

/** The check `http`; its keys are in the README beside this file. */
const http: CheckPlugin<HttpConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "http",
  summary: "Passes when an HTTP response has an accepted status",
  stability: "stable",
  example: { uri: "/health" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ https, verify, ca }, { target }) => ({
    net: target === undefined ? [] : [target],
    ...(https && verify && ca !== undefined && { read: [ca] }),
  }),
  probe(config, { target, signal }) {
    const { verify, ca, server_name: serverName } = config;
    const tls = config.https ? { verify, ca, serverName } : undefined;
    return exchange(target, { signal, tls }, (connection) => ask(connection, config, target));
  },
};

export default http;

async function ask(connection: Connection, config: HttpConfig, target: Endpoint): Promise<ProbeOutcome> {
  await connection.write(requestOf(config, target));
  const head = await readHead(connection);
  const { status } = head;
  if (!config.status.some(({ from, to }) => from <= status && status <= to)) {
    return { status: "fail", reason: `Got status ${status}${leadTo(head)}, expected ${formatRanges(config.status)}` };
  }
  if (config.body !== undefined && !await contains(readBody(connection, head), config.body)) {
    const wanted = quoteBytes(new TextEncoder().encode(config.body));
    return {
      status: "fail",
      reason: `Got status ${status}, but ${wanted} not found in the first ${BODY_BYTES_MAX} bytes of the body`,
    };
  }
  return { status: "pass", detail: `Got status ${status}` };
}

/** The request of each config: all its probes send the same. */
const requests = new WeakMap<HttpConfig, { readonly target: Endpoint; readonly bytes: Uint8Array }>();

function requestOf(config: HttpConfig, target: Endpoint): Uint8Array {
  const known = requests.get(config);
  if (known?.target === target) return known.bytes;
  const bytes = new TextEncoder().encode(formatRequest(config, target));
  requests.set(config, { target, bytes });
  return bytes;
}

/** Redirects are not followed; the reason shows their target. */
function leadTo({ status, headers }: Head): string {
  if (status < 300 || status > 399) return "";
  const location = headers().get("location");
  if (location === undefined) return "";
  return ` (a redirect to ${quoteBytes(new TextEncoder().encode(location))})`;
}

function formatRanges(ranges: readonly StatusRange[]): string {
  return ranges.map(({ from, to }) => from === to ? `${from}` : `${from}-${to}`).join(", ");
}
