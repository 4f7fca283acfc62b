import { merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { type InferValue, parse } from "@optique/core/parser";
import { argument, command, constant, option } from "@optique/core/primitives";
import { choice, integer, string, type ValueParser } from "@optique/core/valueparser";
import { isHostName, isIpv4, isIpv6 } from "../model/endpoint.ts";
import { formatStatusAddress, parseStatusAddress } from "../model/status_address.ts";
import { converted, file } from "./value_parsers.ts";

/** A text that other hosts will accept: they refuse a node whose name or address is none. */
function textThat(
  isRight: (text: string) => boolean,
  { metavar, wanted }: { readonly metavar: "NAME" | "ADDRESS"; readonly wanted: string },
): ValueParser<"sync", string> {
  return {
    mode: "sync",
    metavar,
    placeholder: "",
    parse: (text) =>
      isRight(text)
        ? { success: true, value: text }
        : { success: false, error: message`Expected ${wanted}, but got ${text}.` },
    format: (text) => text,
  };
}

/** The argument of every command that reads a config directory. */
export const dir = argument(string({ metavar: "DIR" }), {
  description: message`The config directory: balancers/, discovery/, clusters/, services/, host.yaml, logging.yaml.`,
});

/** How much is logged, and how. */
export const logging = object("Logging", {
  logLevel: optional(option("--log-level", choice(["debug", "info", "warning", "error"], { metavar: "LEVEL" }), {
    description: message`How much to log; overrides the root level of logging.yaml, else it is info.`,
  })),
  logFormat: withDefault(
    option("--log-format", choice(["auto", "human", "logfmt", "json"], { metavar: "FORMAT" }), {
      description: message`How a line looks; auto is human on a terminal and logfmt otherwise.`,
    }),
    "auto" as const,
  ),
});

/** What a host is called. */
export const named = {
  host: optional(option("--host", textThat(isHostName, { metavar: "NAME", wanted: "a host name" }), {
    description: message`Its name; else that of host.yaml, else its fully qualified name is looked up.`,
  })),
  ip: optional(option("--ip", textThat(isAddress, { metavar: "ADDRESS", wanted: "an IPv4 or IPv6 address" }), {
    description: message`Its address; else that of host.yaml, else its name is looked up.`,
  })),
};

/** What a host announces itself as. */
export const announced = object("What this host is announced as", {
  ...named,
  peerPort: optional(option("--peer-port", integer({ min: 1, max: 65_535, metavar: "PORT" }), {
    description: message`The port of its HAProxy's peers listener; else that of host.yaml, else 1024.`,
  })),
});

const standing = object("How it stands", {
  status: optional(
    option(
      "--status",
      converted(parseStatusAddress, {
        metavar: "ADDRESS",
        wanted: "an address such as 127.0.0.1:9180, [::1]:9180 or unix:/run/lighthouse/status.sock",
        placeholder: { path: "" },
        format: formatStatusAddress,
      }),
      {
        description: message`Where to serve /status and /health over HTTP: HOST:PORT or unix:/PATH; else nowhere.`,
      },
    ),
  ),
});

/** An address to listen at, or to connect to. */
export const adminAddress = converted(parseStatusAddress, {
  metavar: "ADDRESS",
  wanted: "an address such as unix:/run/lighthouse/writer.sock or 127.0.0.1:9181",
  placeholder: { path: "" },
  format: formatStatusAddress,
});

/** Where a daemon serves its admin interface. */
export const adminServing = object("Admin interface", {
  admin: optional(option("--admin", adminAddress, {
    description:
      message`Where to take commands of operators over HTTP: unix:/PATH (mode 0600), or HOST:PORT with TLS and tokens; else nowhere.`,
  })),
  adminTokens: optional(option("--admin-tokens", file, {
    description: message`The bearer tokens of the admin interface (YAML).`,
  })),
  adminTlsCert: optional(option("--admin-tls-cert", file, {
    description: message`The certificate of the admin interface (PEM).`,
  })),
  adminTlsKey: optional(option("--admin-tls-key", file, { description: message`Its key (PEM).` })),
});

const daemon = <const Name extends "writer" | "reporter" | "run">(name: Name) =>
  merge(object({ command: constant(name), dir }), logging, announced, standing, adminServing);

/** The commands of those that run on. */
export const daemons = or(
  command("writer", daemon("writer"), {
    brief: message`Watch clusters and keep the local HAProxy right.`,
    description: message`Watches the clusters of DIR and keeps the local HAProxy right: members come and go over \
its socket, without a reload. HAProxy is started if it does not run, and it keeps running when the writer ends. \
Ends on SIGTERM or SIGINT; SIGHUP looks at DIR again. Exit codes: 0 was asked to end, 1 cannot start, 2 wrong usage, \
70 a fault of its own, 75 restart me (a worker's thread could not be stopped).`,
  }),
  command("reporter", daemon("reporter"), {
    brief: message`Check the local services and register the healthy ones.`,
    description: message`Probes the services of DIR and registers the ports that pass. On SIGTERM or SIGINT it \
deregisters them and ends within 5 seconds; SIGHUP looks at DIR again. Exit codes: 0 was asked to end, 1 cannot start, \
2 wrong usage, 70 a fault of its own, 75 restart me (a worker's thread could not be stopped).`,
  }),
  command("run", daemon("run"), {
    brief: message`Writer and reporter in one process.`,
    description: message`Does what writer and reporter do, over one connection to each registry.`,
  }),
);

function isAddress(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

/** What `writer`, `reporter` and `run` are told. */
export type DaemonArguments = InferValue<typeof daemons>;

/**
 * Reads the command line of a daemon; `undefined` if it is another command, or has a mistake. A daemon that starts
 * need not load what all the others are told.
 */
export function readDaemonArguments(args: readonly string[]): DaemonArguments | undefined {
  const result = parse(daemons, args);
  return result.success ? result.value : undefined;
}
