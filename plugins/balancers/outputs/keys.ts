/**
 * The keys that balancers of files have in common: the owner of a file, its check, and the command that makes
 * its readers load it.
 *
 * @module
 */
import * as v from "valibot";
import { converted, type Issue, list, matching, optional, seconds, unwanted } from "../../../src/kernel/schema.ts";

const COMMAND = "a list of a program and its arguments, each a string without control characters";
const argument = v.pipe(v.string(COMMAND), v.check((text) => !/[\n\r\0]/.test(text), COMMAND));

/** A command: a program and its arguments, run without a shell. */
export const command = () =>
  v.pipe(
    list(argument, COMMAND),
    v.minLength(1, COMMAND),
    v.check(([program]) => program !== "", COMMAND),
  );

/** An absolute path of a file that may be written. */
export const filePath = (wanted = "an absolute path without control characters, `//`, `.` or `..`") =>
  converted((value) => isWritable(value) ? value : undefined, wanted);

function isWritable(value: unknown): value is string {
  return typeof value === "string" && /^\/(?!$)(?!.*(?:\/\/|\/\.{1,2}(?:\/|$)))[^\p{Cc}]*[^\p{Cc}/]$/u.test(value);
}

/** `"0644"`, or the same as an octal number of YAML. */
const mode = converted((value) => {
  const text = typeof value === "number" ? value.toString(8) : value;
  return typeof text === "string" && /^0?[0-7]{3}$/.test(text) ? parseInt(text, 8) : undefined;
}, 'three octal digits as a string, such as "0644"');

/** The keys of one file. */
export const FILE_KEYS = {
  mode: optional(mode),
  owner: optional(matching(/^[A-Za-z0-9_.-]{1,64}(?::[A-Za-z0-9_.-]{1,64})?$/, "USER or USER:GROUP")),
  check_command: optional(command()),
  reload_command: optional(command()),
  timeout: optional(seconds({ min: 1, max: 600 }), 30),
  rollback: optional(v.boolean("true or false"), false),
};

/** The keys of a whole balancer of files. */
export const PACE_KEYS = {
  splay: optional(seconds({ min: 0, max: 3_600 }), 0),
  reload_interval: optional(seconds({ min: 0, max: 3_600 }), 1),
};

const NAME = /^(?!\.{1,2}$)[A-Za-z0-9_.:-]{1,255}$/;

/** Which clusters are rendered: all, or these. */
export const clusters = () =>
  optional(
    converted(
      (value): "all" | readonly string[] | undefined =>
        value === "all"
          ? value
          : Array.isArray(value) && value.every((name) => typeof name === "string" && NAME.test(name))
          ? value
          : undefined,
      "all, or a list of cluster names",
    ),
  );

/** Faults of the keys of one file, at a path. */
export function fileFaults(
  file: {
    readonly check_command?: readonly string[] | undefined;
    readonly reload_command?: readonly string[] | undefined;
    readonly rollback: boolean;
  },
  path: readonly (string | number)[],
): readonly Issue[] {
  return [
    ...file.check_command !== undefined && !file.check_command.slice(1).includes("%")
      ? [unwanted(
        [...path, "check_command"],
        "a command with the argument %, which is replaced by the path of the file to check",
        file.check_command,
      )]
      : [],
    ...file.rollback && file.reload_command === undefined
      ? [
        unwanted(
          [...path, "rollback"],
          "absent unless reload_command is set, because only a failed reload restores the file",
          true,
        ),
      ]
      : [],
  ];
}
