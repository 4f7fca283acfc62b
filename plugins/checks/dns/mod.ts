import type { CheckPlugin, ProbeOutcome } from "../../../mod.ts";
import { ownFault } from "../../../src/kernel/own_fault.ts";
import { quote } from "../../../src/kernel/quote.ts";
import { isIpv4, isIpv6, parseEndpoint } from "../../../src/model/endpoint.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { DnsConfig, RecordType } from "./config.ts";

/** The hosts file of this machine. Deno's resolver reads it first, even if a server is given. */
const HOSTS_FILE = "/etc/hosts";

/** The check `dns`; its keys are in the README beside this file. */
const dns: CheckPlugin<DnsConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "dns",
  summary: "Passes when a name server returns records for a name",
  stability: "stable",
  example: { name: "health.example.com" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ record }, { target }) => ({
    net: target === undefined ? [] : [target],
    ...(isInHostsFile(record) && { read: [HOSTS_FILE] }),
  }),
  async probe({ name, record, expect }, { target, signal }): Promise<ProbeOutcome> {
    signal.throwIfAborted();
    const address = parseEndpoint(target);
    if (address === undefined || !(isIpv4(address.host) || isIpv6(address.host))) {
      return { status: "unknown", reason: `Cannot query ${target}: the host of a name server must be an IP address` };
    }
    if (isInHostsFile(record) && await isKnownHere(name)) {
      const reason = `Cannot query ${
        quote(name)
      }: ${HOSTS_FILE} on this host lists the name, so no name server would be queried`;
      return { status: "unknown", reason };
    }
    const nameServer = { ipAddr: address.host, port: address.port };
    let records: readonly string[];
    try {
      records = await resolve(name, record, { nameServer, signal });
    } catch (error) {
      signal.throwIfAborted();
      return explain(error, `${record} records for ${quote(name)}`, target);
    }
    const missing = expect.find((each) => !records.some((found) => isSame(found, each, record)));
    const got = `Got ${record} ${quote(records)}`;
    return missing === undefined
      ? { status: "pass", detail: got }
      : { status: "fail", reason: `${got} from ${target}, expected ${quote(missing)}` };
  },
};

export default dns;

function isInHostsFile(record: RecordType): boolean {
  return record === "A" || record === "AAAA";
}

/** Whether Deno's resolver would answer the name without the server, so that a dead server would pass. */
async function isKnownHere(name: string): Promise<boolean> {
  let text: string;
  try {
    text = await Deno.readTextFile(HOSTS_FILE);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    // If the file cannot be read, the resolver does not read it either.
    return false;
  }
  const names = text.split("\n").flatMap((line) => line.replace(/#.*/, "").trim().split(/\s+/).slice(1));
  return names.some((each) => plain(each) === plain(name));
}

/** A name as DNS compares it. */
function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** Queries the name and formats each record. The name is absolute: no search list is used. */
async function resolve(name: string, record: RecordType, options: Deno.ResolveDnsOptions): Promise<readonly string[]> {
  const absolute = name === "." ? name : `${name}.`;
  switch (record) {
    case "MX":
      return (await Deno.resolveDns(absolute, record, options)).map((mx) => `${mx.preference} ${mx.exchange}`);
    case "SRV":
      return (await Deno.resolveDns(absolute, record, options))
        .map(({ priority, weight, port, target }) => `${priority} ${weight} ${port} ${target}`);
    case "TXT":
      return (await Deno.resolveDns(absolute, record, options)).map((parts) => parts.join(""));
    default:
      return await Deno.resolveDns(absolute, record, options);
  }
}

/** Compares records as DNS does, ignoring case and a trailing dot, except for TXT. */
function isSame(found: string, wanted: string, record: RecordType): boolean {
  return record === "TXT" ? found === wanted : plain(found) === plain(wanted);
}

/** Explains missing records; errors that are not the server's fault are rethrown. */
function explain(error: unknown, what: string, target: string): ProbeOutcome {
  const lack = ownFault(error);
  if (lack !== undefined) return { status: "unknown", reason: `Cannot query ${target} for ${what}: ${lack}` };
  const fail = (reason: string): ProbeOutcome => ({ status: "fail", reason });
  // Deno has one error for all of these.
  if (error instanceof Deno.errors.NotFound) {
    return fail(
      `Got no ${what} from ${target}: no such records, no such name, or the query was rejected or failed`,
    );
  }
  if (error instanceof Deno.errors.TimedOut) return fail(`Query for ${what} to ${target} timed out`);
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) throw error;
  return fail(`Cannot query ${target} for ${what}: ${error.message}`);
}
