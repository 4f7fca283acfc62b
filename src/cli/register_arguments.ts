import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { argument, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import type { RequestedCheck } from "../app/kept_registration.ts";
import { isName, NAME_WANTED } from "../config/schema_words.ts";
import { formatEndpoint, type HostPort, isHostName, isIpv4, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { isRecord, type Json } from "../model/node.ts";
import { cluster } from "./nodes_arguments.ts";
import { converted, duration } from "./value_parsers.ts";

const address = converted<HostPort>((text) => {
  const endpoint = parseEndpoint(text);
  return endpoint !== undefined && (isIpv4(endpoint.host) || isIpv6(endpoint.host)) ? endpoint : undefined;
}, {
  metavar: "ADDRESS",
  wanted: "an IP address and a port such as 10.0.0.5:8080 or [fd00::5]:8080",
  placeholder: { host: "127.0.0.1", port: 1 },
  format: formatEndpoint,
});

const hostName = converted((text) => isHostName(text) ? text : undefined, {
  metavar: "NAME",
  wanted: "a host name",
  placeholder: "",
  format: (text) => text,
});

/** The name of a file of `discovery/`. */
export const discovery = converted((text) => isName(text) ? text : undefined, {
  metavar: "DISCOVERY",
  wanted: NAME_WANTED,
  placeholder: "",
  format: (text) => text,
});

const metadata = converted<{ readonly [key: string]: Json }>((text) => {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value as { readonly [key: string]: Json } : undefined;
  } catch {
    return undefined;
  }
}, { metavar: "JSON", wanted: "a JSON object", placeholder: {}, format: (value) => JSON.stringify(value) });

/** Reads `http:uri=/health,timeout=500ms`; `undefined` if it is no check. Pure. */
export function readCheck(text: string): RequestedCheck | undefined {
  const [, type = "", list = ""] = /^([^:]+)(?::(.*))?$/s.exec(text) ?? [];
  const pairs = list === "" ? [] : list.split(/,(?=[A-Za-z_]+=)/);
  if (!isName(type) || !pairs.every((pair) => /^[A-Za-z_]+=/.test(pair))) return undefined;
  const config = pairs.map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), valueOf(pair.slice(at + 1))] as const;
  });
  return { type, config: Object.fromEntries(config) };
}

/** Numbers and truth values are such, as in YAML. */
function valueOf(text: string): Json {
  return /^(?:true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)$/.test(text) ? JSON.parse(text) : text;
}

const check = converted<RequestedCheck>(readCheck, {
  metavar: "CHECK",
  wanted: "a check such as tcp or http:uri=/health,timeout=500ms",
  placeholder: { type: "", config: {} },
  format: ({ type, config }) => `${type}:${Object.entries(config).map(([key, value]) => `${key}=${value}`).join(",")}`,
});

/** What `register` takes. */
export const registerArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  object({
    command: constant("register" as const),
    dir,
    discovery: argument(discovery, { description: message`Registry: the name of a file in discovery/.` }),
    cluster: argument(cluster, { description: message`Cluster that the node joins.` }),
    address: argument(address, { description: message`IP address and port of the node.` }),
    name: optional(option("--name", hostName, {
      description: message`Host name of the node. Default: name in host.yaml, else the name of this host.`,
    })),
    format: optional(option("--format", string({ metavar: "FORMAT" }), {
      description: message`Format of the registry entry; accepts the values of format in the discovery's section.`,
    })),
    ttlMs: optional(option("--ttl", duration({ minMs: 500, maxMs: 3_600_000 }), {
      description:
        message`Time until the registry removes the node after this process dies. Default: the value in the discovery's file.`,
    })),
    metadata: withDefault(
      option("--metadata", metadata, { description: message`Metadata of the node.` }),
      {},
    ),
    checks: withDefault(
      multiple(option("--check", check, {
        description:
          message`Register the node only while this check passes, such as tcp or http:uri=/health. Repeatable.`,
      })),
      [],
    ),
    logLevel: withDefault(
      option("--log-level", choice(["debug", "info", "warning", "error"], { metavar: "LEVEL" }), {
        description: message`Log level. Records are written to standard error.`,
      }),
      "warning" as const,
    ),
    run: multiple(
      argument(string({ metavar: "COMMAND" }), { description: message`Program and its arguments, after --.` }),
      { min: 1 },
    ),
  });
