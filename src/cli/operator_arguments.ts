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

const speaking = object("The process", {
  admin: optional(option("--admin", adminAddress, {
    description:
      message`Where its admin interface is; else unix:/run/lighthouse/writer.sock, then unix:/run/lighthouse/reporter.sock.`,
  })),
  tokenFile: optional(
    option("--token-file", file, { description: message`The token to show, alone in a file.` }),
  ),
  ca: optional(option("--ca", file, {
    description: message`The authority of its certificate (PEM), at HOST:PORT; else those of the system.`,
  })),
  timeoutMs: withDefault(
    option("--timeout", duration({ minMs: 100, maxMs: 600_000 }), {
      description: message`How long it may take to answer.`,
    }),
    30_000,
  ),
  json: withDefault(option("--json", { description: message`Print JSON.` }), false),
});

const author = optional(option("--author", saying("NAME"), {
  description: message`Who says so; else the user who runs the command.`,
}));
const said = object("Statement", {
  author,
  reason: optional(option("--reason", saying("TEXT"), { description: message`Why, for whoever asks later.` })),
  forMs: optional(option("--for", duration({ minMs: 1_000, maxMs: FOR_MAX_MS }), {
    description: message`How long it holds; else until it is revoked.`,
  })),
});
const force = withDefault(
  option("--force", { description: message`Also if no node of the cluster is ready then.` }),
  false,
);
const nodes = {
  cluster: argument(clusterName, { description: message`The cluster, as its file names it.` }),
  target: argument(target, {
    description: message`A node by name or address with port, or all nodes of a host by name or address.`,
  }),
};
/** What drain and undrain are about: a cluster and its nodes, or with `--local` a service of this host. */
const meant = {
  what: optional(argument(clusterName, {
    description: message`The cluster, as its file names it; with --local the service, or none for all.`,
  })),
  target: optional(argument(target, {
    description: message`A node by name or address with port, or all nodes of a host by name or address.`,
  })),
  local: withDefault(option("--local", { description: message`This host's own nodes, in the registry.` }), false),
};
const deregister = withDefault(
  option("--deregister", {
    description:
      message`With --local: do not register them at all, for writers that do not know draining, as those of 1.0.`,
  }),
  false,
);
const wait = withDefault(
  option("--wait", { description: message`Return when no connection to them has been established for 5s.` }),
  false,
);
const waitMs = withDefault(
  option("--wait-timeout", duration({ minMs: 1_000, maxMs: 86_400_000 }), {
    description: message`How long --wait waits; then it prints what is left, with exit code 1.`,
  }),
  600_000,
);
const balancer = optional(argument(string({ metavar: "BALANCER" }), {
  description: message`A file of balancers/; else all of them.`,
}));

const EXITS = message`Exit codes: 0 done, 1 rejected or no admin interface answered, 2 wrong usage.`;

/** The commands that speak to a running writer. */
export const operatorArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) => {
  const of = <const Verb extends string>(verb: Verb) =>
    object({ command: constant("operator" as const), verb: constant(verb), dir });
  return or(
    command("drain", merge(of("drain"), object({ ...meant, force, deregister, wait, waitMs }), said, speaking), {
      brief: message`Send no new connections to a node or a host, or to this host's own nodes.`,
      description:
        message`Has the writer of this host drain the nodes: connections that are open go on, no new ones come. \
With --local and a service, or none for all, the reporter of this host registers its own nodes as draining, so that every \
writer drains them. ${EXITS}`,
    }),
    command("undrain", merge(of("undrain"), object({ ...meant, author }), speaking), {
      brief: message`Put a node or a host back in rotation.`,
      description: message`Revokes drain and maint of the nodes, or with --local the drain of this host. ${EXITS}`,
    }),
    command("maint", merge(of("maint"), object({ ...nodes, force }), said, speaking), {
      brief: message`Put a node or a host in maintenance.`,
      description:
        message`Has the writer of this host put the nodes in maintenance: no connections, no health checks. ${EXITS}`,
    }),
    command("weight", merge(of("weight"), object({ ...nodes, percent: argument(percent), force }), said, speaking), {
      brief: message`Give a node or a host a percentage of its weight.`,
      description: message`Scales the weight of the nodes; 100% revokes that. ${EXITS}`,
    }),
    command("overrides", merge(of("overrides"), speaking), {
      brief: message`List what operators have said, and until when.`,
      description: message`Prints overrides, pauses and drains of this host, a line each. ${EXITS}`,
    }),
    command(
      "explain",
      merge(
        of("explain"),
        object({
          target: optional(argument(explained, {
            description: message`A cluster, or a node of it by name, host or address; else all clusters.`,
          })),
        }),
        speaking,
      ),
      {
        brief: message`Say what each node gets, and why.`,
        description:
          message`Prints for each node where it comes from and since when, its share with every factor, and what an operator says of it. ${EXITS}`,
      },
    ),
    command(
      "pause",
      merge(
        of("pause"),
        object({
          balancer,
          author,
          reason: option("--reason", saying("TEXT"), { description: message`Why, for whoever asks later.` }),
          forMs: option("--for", duration({ minMs: 1_000, maxMs: PAUSE_MAX_MS }), {
            description: message`How long; then all is caught up.`,
          }),
        }),
        speaking,
      ),
      {
        brief: message`Take the hands off a balancer for a while.`,
        description: message`Until it ends nothing of the balancer is changed, reverted, reloaded or started. ${EXITS}`,
      },
    ),
    command("resume", merge(of("resume"), object({ balancer, author }), speaking), {
      brief: message`End a pause before its time.`,
      description: message`Resumes the management; what changed meanwhile is caught up. ${EXITS}`,
    }),
  );
};
