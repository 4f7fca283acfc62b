import { merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { argument, command, constant, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { FOR_MAX_MS, PAUSE_MAX_MS } from "../admin/command.ts";
import { parsePercentage } from "../kernel/duration.ts";
import { isPercent, isSaying, isTarget, PERCENT_MAX, SAID_LENGTH_MAX, TARGET_WANTED } from "../model/override.ts";
import { adminAddress } from "./daemon_arguments.ts";
import { isName } from "../config/schema_words.ts";
import type { ExplainTarget } from "./explain_text.ts";
import { cluster as clusterName } from "./nodes_arguments.ts";
import { converted, duration, file } from "./value_parsers.ts";

const saying = (metavar: "NAME" | "TEXT") =>
  converted((text) => isSaying(text) ? text : undefined, {
    metavar,
    wanted: `one line of 1 to ${SAID_LENGTH_MAX} characters`,
    placeholder: "",
    format: (text) => text,
  });

const target = converted((text) => isTarget(text) ? text : undefined, {
  metavar: "NODE|HOST",
  wanted: TARGET_WANTED,
  placeholder: "",
  format: (text) => text,
});

const explained = converted((text): ExplainTarget | undefined => {
  const [cluster = "", ...rest] = text.split("/");
  if (!isName(cluster) || rest.length > 1 || rest[0] === "") return undefined;
  return { cluster, ...rest[0] !== undefined && { node: rest[0] } };
}, {
  metavar: "CLUSTER[/NODE]",
  wanted: "the name of a cluster, or CLUSTER/NODE",
  placeholder: { cluster: "" } as ExplainTarget,
  format: ({ cluster, node }) => [cluster, node].filter((part) => part !== undefined).join("/"),
});

const percent = converted((text) => {
  const value = parsePercentage(text);
  return isPercent(value) ? value : undefined;
}, {
  metavar: "PERCENT",
  wanted: `a whole percentage from 0% to ${PERCENT_MAX}%`,
  placeholder: 0,
  format: (value) => `${value}%`,
});

const speaking = object("Connection", {
  admin: optional(option("--admin", adminAddress, {
    description:
      message`Address of the admin interface. Default: unix:/run/lighthouse/writer.sock, else unix:/run/lighthouse/reporter.sock.`,
  })),
  tokenFile: optional(
    option("--token-file", file, { description: message`File that contains the bearer token.` }),
  ),
  ca: optional(option("--ca", file, {
    description: message`CA of the server certificate (PEM). Default: the CAs of the system.`,
  })),
  timeoutMs: withDefault(
    option("--timeout", duration({ minMs: 100, maxMs: 600_000 }), {
      description: message`Timeout for the response.`,
    }),
    30_000,
  ),
  json: withDefault(option("--json", { description: message`Print JSON.` }), false),
});

const author = optional(option("--author", saying("NAME"), {
  description: message`Author recorded with the change. Default: the user who runs the command.`,
}));
const said = object("Override", {
  author,
  reason: optional(
    option("--reason", saying("TEXT"), { description: message`Reason, shown by overrides and explain.` }),
  ),
  forMs: optional(option("--for", duration({ minMs: 1_000, maxMs: FOR_MAX_MS }), {
    description: message`Duration of the override. Default: until revoked.`,
  })),
});
const force = withDefault(
  option("--force", { description: message`Proceed even if no node of the cluster stays ready.` }),
  false,
);
const nodes = {
  cluster: argument(clusterName, { description: message`Cluster name, as in its file.` }),
  target: argument(target, {
    description: message`A node (name or address:port), or all nodes of a host (name or address).`,
  }),
};
/** What drain and undrain are about: a cluster and its nodes, or with `--local` a service of this host. */
const meant = {
  what: optional(argument(clusterName, {
    description: message`Cluster name; with --local, service name (default: all services).`,
  })),
  target: optional(argument(target, {
    description: message`A node (name or address:port), or all nodes of a host (name or address).`,
  })),
  local: withDefault(option("--local", { description: message`Apply to this host's nodes, in the registry.` }), false),
};
const deregister = withDefault(
  option("--deregister", {
    description: message`With --local: deregister the nodes, for writers that ignore draining, such as 1.0 writers.`,
  }),
  false,
);
const wait = withDefault(
  option("--wait", { description: message`Return when the nodes have had no established connection for 5s.` }),
  false,
);
const waitMs = withDefault(
  option("--wait-timeout", duration({ minMs: 1_000, maxMs: 86_400_000 }), {
    description: message`Timeout for --wait. On timeout, prints the remaining connections and exits with status 1.`,
  }),
  600_000,
);
const balancer = optional(argument(string({ metavar: "BALANCER" }), {
  description: message`Name of a file in balancers/. Default: all balancers.`,
}));

const EXITS = message`Exit status: 0 done, 1 rejected or no admin interface responded, 2 usage error.`;

/** The fields that every command for a running writer or reporter has. */
const of = <Dir, const Verb extends string>(verb: Verb, dir: Parser<"sync", Dir, unknown>) => ({
  command: constant("operator" as const),
  verb: constant(verb),
  dir,
});

/** The commands that ask a running writer or reporter. */
export const observerArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  or(
    command(
      "explain",
      merge(
        object({
          ...of("explain", dir),
          target: optional(argument(explained, {
            description: message`Cluster, or one of its nodes by name, host or address. Default: all clusters.`,
          })),
        }),
        speaking,
      ),
      {
        brief: message`Explain the state and share of each node.`,
        description:
          message`For each node, prints the source, the join time, the share with every factor, and the overrides. ${EXITS}`,
      },
    ),
    command("overrides", merge(object(of("overrides", dir)), speaking), {
      brief: message`List overrides, pauses and drains.`,
      description:
        message`Prints each override, pause and local drain of this host, with author, reason and expiry. ${EXITS}`,
    }),
  );

/** The commands that change what a running writer or reporter does. */
export const operatorArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  or(
    command(
      "drain",
      merge(object({ ...of("drain", dir), ...meant, force, deregister, wait, waitMs }), said, speaking),
      {
        brief: message`Drain a node, a host, or the nodes of this host.`,
        description:
          message`The writer of this host drains the nodes: established connections continue, but no new connections are sent. \
With --local, the reporter of this host registers its own nodes as draining, so that every \
writer drains them. ${EXITS}`,
      },
    ),
    command("undrain", merge(object({ ...of("undrain", dir), ...meant, author }), speaking), {
      brief: message`Return a node or a host to rotation.`,
      description: message`Revokes drain and maint of the nodes; with --local, the drain of this host. ${EXITS}`,
    }),
    command("maint", merge(object({ ...of("maint", dir), ...nodes, force }), said, speaking), {
      brief: message`Put a node or a host in maintenance.`,
      description:
        message`The writer of this host puts the nodes in maintenance: no connections, no health checks. ${EXITS}`,
    }),
    command(
      "weight",
      merge(object({ ...of("weight", dir), ...nodes, percent: argument(percent), force }), said, speaking),
      {
        brief: message`Scale the weight of a node or a host.`,
        description: message`Scales the weight of the nodes to a percentage; 100% revokes the override. ${EXITS}`,
      },
    ),
    command(
      "pause",
      merge(
        object({
          ...of("pause", dir),
          balancer,
          author,
          reason: option("--reason", saying("TEXT"), { description: message`Reason, shown by overrides and explain.` }),
          forMs: option("--for", duration({ minMs: 1_000, maxMs: PAUSE_MAX_MS }), {
            description: message`Duration of the pause. Changes made during the pause are applied when it ends.`,
          }),
        }),
        speaking,
      ),
      {
        brief: message`Suspend management of a balancer.`,
        description:
          message`Until the pause ends, the balancer is not changed, reloaded or started, and drift is not reverted. ${EXITS}`,
      },
    ),
    command("resume", merge(object({ ...of("resume", dir), balancer, author }), speaking), {
      brief: message`End a pause.`,
      description: message`Resumes management and applies the changes made during the pause. ${EXITS}`,
    }),
  );
