import type { CheckPlugin, ProbeOutcome } from "../../../mod.ts";
import { ownFault } from "../../../src/kernel/own_fault.ts";
import { quote } from "../../../src/kernel/quote.ts";
import { isIpv4, isIpv6, parseEndpoint } from "../../../src/model/endpoint.ts";
import { lazySchema } from "../lazy_schema.ts";
import type { DnsConfig, RecordType } from "./config.ts";

/** The names that this machine knows by itself. Deno's resolver looks there first, even if it is told whom to ask. */
const HOSTS_FILE = "/etc/hosts";

/** The check `dns`; its keys are in the README beside this file. */
const dns: CheckPlugin<DnsConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "dns",
  summary: "Passes when a name server answers with records of a name",
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
      return { status: "unknown", reason: `Cannot ask ${target}: a name server is told by its IP address, with host` };
    }
    if (isInHostsFile(record) && await isKnownHere(name)) {
      const reason = `Cannot ask for ${quote(name)} as ${HOSTS_FILE} of this machine has it: no server would be asked`;
      return { status: "unknown", reason };
    }
    const nameServer = { ipAddr: address.host, port: address.port };
    let records: readonly string[];
    try {
      records = await resolve(name, record, { nameServer, signal });
    } catch (error) {
      signal.throwIfAborted();
      return explain(error, `${record} records of ${quote(name)}`, target);
    }
    const missing = expect.find((each) => !records.some((found) => isSame(found, each, record)));
    const got = `Got ${record} ${quote(records)}`;
    return missing === undefined
      ? { status: "pass", detail: got }
      : { status: "fail", reason: `${got} from ${target}, want ${quote(missing)}` };
  },
};

export default dns;

function isInHostsFile(record: RecordType): boolean {
  return record === "A" || record === "AAAA";
}

/** Whether Deno's resolver would answer for the name without the server, so that a dead one passed. */
async function isKnownHere(name: string): Promise<boolean> {
  let text: string;
  try {
    text = await Deno.readTextFile(HOSTS_FILE);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    // What cannot be read is not read by the resolver either.
    return false;
  }
  const names = text.split("\n").flatMap((line) => line.replace(/#.*/, "").trim().split(/\s+/).slice(1));
  return names.some((each) => plain(each) === plain(name));
}

/** A name as DNS compares it. */
function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** Asks, and writes each record as a text. The name is absolute: no search list of this machine's is tried. */
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

/** All but texts are compared as DNS does: without regard to case, and to the dot at the end of a name. */
function isSame(found: string, wanted: string, record: RecordType): boolean {
  return record === "TXT" ? found === wanted : plain(found) === plain(wanted);
}

/** Says in an operator's words why there are no records; what is no fault of the server is thrown on. */
function explain(error: unknown, what: string, target: string): ProbeOutcome {
  const lack = ownFault(error);
  if (lack !== undefined) return { status: "unknown", reason: `Cannot ask ${target} for ${what}: ${lack}` };
  const fail = (reason: string): ProbeOutcome => ({ status: "fail", reason });
  // Deno has one answer for all of these.
  if (error instanceof Deno.errors.NotFound) {
    return fail(
      `Got no ${what} from ${target}: there are none, there is no such name, or it refuses or fails to answer`,
    );
  }
  if (error instanceof Deno.errors.TimedOut) return fail(`Got no answer from ${target} to the question for ${what}`);
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) throw error;
  return fail(`Cannot ask ${target} for ${what}: ${error.message}`);
}
