import * as v from "valibot";
import {
  type HouseSchema,
  houseSchema,
  type Issue,
  keys,
  list,
  mapped,
  optional,
  refined,
  seconds,
  unwanted,
  word,
} from "../../../src/kernel/schema.ts";
import type { EndSignal } from "../../../mod.ts";
import { clusters, filePath } from "../outputs/keys.ts";

/** Arguments that are repeated for each member of a cluster. */
export interface Repeated {
  /** The cluster. */
  readonly each: string;
  readonly arguments: readonly string[];
}

/** A file of balancers/ of type `supervised`, validated. */
export interface SupervisedConfig {
  readonly clusters?: "all" | readonly string[] | undefined;
  /** The program and its arguments. */
  readonly command: readonly (string | Repeated)[];
  readonly pidFile: string;
  readonly signal: EndSignal;
  readonly graceMs: number;
  readonly intervalMs: number;
  readonly output: "log" | "none";
  readonly endsWithWriter: boolean;
  /** What is done while none of the clusters of `each` has a member. */
  readonly whenEmpty: "stop" | "run";
}

const SIGNALS: readonly EndSignal[] = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"];
const ARGUMENT = "a string without control characters, or a map such as {each: CLUSTER, arguments: [ARGUMENT]}";
const argument = v.pipe(v.string(ARGUMENT), v.check((text) => !/[\n\r\0]/.test(text), ARGUMENT));
const COMMAND = "a list that starts with the absolute path of a program";

/** The placeholders, and what they stand for. */
export const PLACEHOLDERS: readonly string[] = ["address", "cluster", "host", "ip", "port", "share", "weight"];
const PLACEHOLDER = /\{([a-z_]+)\}/g;

const balancer = houseSchema(keys({
  clusters: clusters(),
  command: v.pipe(
    list(
      v.lazy((value): v.GenericSchema<unknown, string | Repeated> =>
        typeof value === "object" ? keys({ each: word("the name of a cluster"), arguments: list(argument) }) : argument
      ),
      COMMAND,
    ),
    v.minLength(1, COMMAND),
    v.check(([program]) => typeof program === "string" && program.startsWith("/"), COMMAND),
  ),
  pid_file: filePath("an absolute path that ends in .pid"),
  signal: optional(v.picklist(SIGNALS, `one of ${SIGNALS.join(", ")}`), "SIGTERM"),
  grace: optional(seconds({ min: 0, max: 600 }), 10),
  restart_interval: optional(seconds({ min: 0, max: 3_600 }), 1),
  output: optional(v.picklist(["log", "none"], "log or none")),
  ends_with_writer: optional(v.boolean("true or false"), false),
  when_empty: optional(v.picklist(["stop", "run"], "stop or run"), "stop"),
}));

/** Validates `balancers/NAME.yaml`. */
export const balancerSchema: HouseSchema<SupervisedConfig> = mapped(
  refined(
    balancer,
    ({ command, pid_file, output, ends_with_writer }) => [
      ...output === "log" && !ends_with_writer
        ? [
          unwanted(
            ["output"],
            "none unless ends_with_writer is true, because the pipe to the log ends with the writer",
            output,
          ),
        ]
        : [],
      ...pid_file.endsWith(".pid") ? [] : [unwanted(["pid_file"], "an absolute path that ends in .pid", pid_file)],
      ...command.flatMap((part, i): readonly Issue[] => {
        const isText = typeof part === "string";
        const texts = isText ? [part] : part.arguments;
        return texts.flatMap((text, j) => {
          const unknown = [...text.matchAll(PLACEHOLDER)].filter(([, name = ""]) =>
            isText ? name !== "host" && name !== "ip" : !PLACEHOLDERS.includes(name)
          );
          const path = isText ? ["command", i] : ["command", i, "arguments", j];
          const known = isText ? "{host} and {ip} (of this host)" : PLACEHOLDERS.map((name) => `{${name}}`).join(" ");
          return unknown.length === 0 ? [] : [unwanted(path, `a string with no placeholders except ${known}`, text)];
        });
      }),
    ],
    ["command", "pid_file", "output", "ends_with_writer"],
  ),
  (file): SupervisedConfig => ({
    clusters: file.clusters,
    command: file.command,
    pidFile: file.pid_file,
    signal: file.signal,
    graceMs: file.grace * 1_000,
    intervalMs: file.restart_interval * 1_000,
    output: file.output ?? (file.ends_with_writer ? "log" : "none"),
    endsWithWriter: file.ends_with_writer,
    whenEmpty: file.when_empty,
  }),
);

/** Validates the section of a cluster's file: it has no keys. */
export const clusterSchema: HouseSchema<object> = houseSchema(keys({}));
