import { merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import type { InferValue } from "@optique/core/parser";
import { argument, command, constant, option } from "@optique/core/primitives";
import { choice, integer, string, type ValueParser } from "@optique/core/valueparser";
import { isHostName, isIpv4, isIpv6 } from "../model/endpoint.ts";
import { formatStatusAddress, parseStatusAddress } from "../model/status_address.ts";
import { converted, duration, file } from "./value_parsers.ts";

/** A string that other hosts accept: they reject a node with an invalid name or address. */
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
  description: message`Config directory, with balancers/, discovery/, clusters/, services/, host.yaml, logging.yaml.`,
});

/** How much is logged, and how. */
export const logging = object("Logging", {
  logLevel: optional(option("--log-level", choice(["debug", "info", "warning", "error"], { metavar: "LEVEL" }), {
    description: message`Log level. Default: the root level in logging.yaml, else info.`,
  })),
  logFormat: withDefault(
    option("--log-format", choice(["auto", "human", "logfmt", "json"], { metavar: "FORMAT" }), {
      description: message`Log format; auto is human on a terminal and logfmt otherwise.`,
    }),
    "auto" as const,
  ),
});

/** The name and the address of a host. */
export const named = {
  host: optional(option("--host", textThat(isHostName, { metavar: "NAME", wanted: "a host name" }), {
    description: message`Host name. Default: name in host.yaml, else the fully qualified name in DNS.`,
  })),
  ip: optional(option("--ip", textThat(isAddress, { metavar: "ADDRESS", wanted: "an IPv4 or IPv6 address" }), {
    description: message`Host address. Default: ip in host.yaml, else the address of the host name.`,
  })),
};

/** What a host registers for itself. */
export const announced = object("Host identity", {
  ...named,
  peerPort: optional(option("--peer-port", integer({ min: 1, max: 65_535, metavar: "PORT" }), {
    description: message`Port of the HAProxy peers listener. Default: peer_port in host.yaml, else 1024.`,
  })),
});

const standing = object("Status", {
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
        description: message`Serve /status, /health and /metrics at HOST:PORT or unix:/PATH. Default: not served.`,
      },
    ),
  ),
});

const lifecycleServing = object("Lifecycle interface", {
  lifecycle: optional(
    option(
      "--lifecycle",
      converted(parseStatusAddress, {
        metavar: "ADDRESS",
        wanted: "an address such as 127.0.0.1:8081 or 0.0.0.0:8081",
        placeholder: { path: "" },
        format: formatStatusAddress,
      }),
      {
        description:
          message`Serve GET /health, POST /quitquitquit and POST /abortabortabort for a scheduler such as Aurora, without authentication. Default: not served.`,
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
      message`Serve the admin interface at unix:/PATH (mode 0600), or at HOST:PORT with TLS and tokens. Default: not served.`,
  })),
  adminTokens: optional(option("--admin-tokens", file, {
    description: message`Bearer tokens for the admin interface (YAML).`,
  })),
  adminTlsCert: optional(option("--admin-tls-cert", file, {
    description: message`TLS certificate of the admin interface (PEM).`,
  })),
  adminTlsKey: optional(
    option("--admin-tls-key", file, { description: message`Private key of the certificate (PEM).` }),
  ),
});

const daemon = <const Name extends "writer" | "reporter" | "run">(name: Name) =>
  merge(object({ command: constant(name), dir }), logging, announced, standing, adminServing, lifecycleServing);

/** A writer that ends when all is applied. */
const single = object("A single run", {
  once: withDefault(
    option("--once", {
      description: message`Apply everything once and exit, instead of watching.`,
    }),
    false,
  ),
  noReload: withDefault(
    option("--no-reload", {
      description: message`With --once: only write files; do not start, reload or notify programs.`,
    }),
    false,
  ),
  timeoutMs: withDefault(
    option("--timeout", duration({ minMs: 100, maxMs: 3_600_000 }), {
      description: message`With --once: timeout for the whole run.`,
    }),
    60_000,
  ),
});

/** The commands that keep running. */
export const daemons = or(
  command("writer", merge(daemon("writer"), single), {
    brief: message`Watch clusters and keep the local load balancer in sync.`,
    description: message`Watches the clusters of DIR and keeps the local HAProxy in sync: members change over \
its socket, without a reload. The writer starts HAProxy if it is not running, and leaves HAProxy running on exit. SIGTERM or SIGINT stops the writer; SIGHUP reads DIR again. Exit status: 0 stopped by a signal, 1 cannot start, 2 usage error, \
70 internal error, 75 restart required (stuck worker thread). With --once, the writer exits when done: 0 everything was applied, 1 not everything was applied (the log has the reason).`,
  }),
  command("reporter", daemon("reporter"), {
    brief: message`Check local services and register the healthy ones.`,
    description: message`Checks the services of DIR and registers the ports that pass. SIGTERM or SIGINT \
deregisters them and stops the reporter within 5s; SIGHUP reads DIR again. Exit status: 0 stopped by a signal, 1 cannot start, \
2 usage error, 70 internal error, 75 restart required (stuck worker thread).`,
  }),
  command("run", daemon("run"), {
    brief: message`Run the writer and the reporter in one process.`,
    description:
      message`Runs the writer and the reporter over one shared connection to each registry. Signals and exit status are the same as for writer and reporter.`,
  }),
);

function isAddress(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

/** The arguments of `writer`, `reporter` and `run`. */
export type DaemonArguments = InferValue<typeof daemons>;
