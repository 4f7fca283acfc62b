import {
  converted,
  houseSchema,
  integer,
  type Issue,
  keys,
  list,
  mapOf,
  matching,
  optional,
  refined,
  word,
} from "../../../src/kernel/schema.ts";

/** The section `exec:` of a service file, validated. */
export interface ExecConfig {
  /** The absolute path of the program. */
  readonly command: string;
  /** Its arguments; `{host}`, `{port}` and `{target}` stand for the port under check. */
  readonly args: readonly string[];
  /** Its whole environment, with the same placeholders. */
  readonly env: { readonly [name: string]: string };
  /** The folder that it runs in. */
  readonly directory: string;
  /** The exit statuses that pass. */
  readonly status: readonly number[];
  /** What its output must contain. */
  readonly output?: string | undefined;
  /** Maximum number of bytes of its output that are read. */
  readonly output_limit: number;
}

const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/;
const FOLDER = /^\/[^\0]*$/;

/** Validates `exec:` of a service file. */
export const schema = refined(
  refined(
    houseSchema(keys({
      command: matching(PATH, 'the absolute path of a program, without empty, "." or ".." segments'),
      args: optional(list(converted(toText, "a string without NUL characters"), "a list of strings"), []),
      env: optional(mapOf(converted(toText, "a string without NUL characters")), {}),
      directory: optional(matching(FOLDER, "the absolute path of a directory"), "/"),
      status: optional(converted(toStatuses, "an exit status from 0 to 255, or a list of them"), 0),
      output: optional(word()),
      output_limit: optional(integer({ min: 1, max: 1_048_576 }), 65_536),
    })),
    nameFaults,
    ["env"],
  ),
  outputFaults,
  ["output", "output_limit"],
);

/** YAML parses some arguments as numbers and booleans. */
function toText(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined;
  return String(value).includes("\0") ? undefined : String(value);
}

function toStatuses(value: unknown): readonly number[] | undefined {
  const statuses = (Array.isArray(value) ? value : [value]).map((each) => typeof each === "number" ? each : NaN);
  const fine = statuses.length > 0 && statuses.every((each) => Number.isInteger(each) && each >= 0 && each <= 255);
  return fine ? statuses : undefined;
}

function nameFaults({ env }: Pick<ExecConfig, "env">): readonly Issue[] {
  const issues: Issue[] = [];
  for (const name of Object.keys(env)) {
    // The variables of the dynamic linker could turn the granted program into another one; Deno rejects them.
    const wanted = !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
      ? "letters, digits and _, not starting with a digit"
      : /^(?:LD|DYLD)_/i.test(name)
      ? "a name that does not start with LD_ or DYLD_"
      : undefined;
    if (wanted === undefined) continue;
    issues.push({
      message: `Cannot use the variable name: must be ${wanted}; current value is ${JSON.stringify(name)}`,
      path: ["env", name],
    });
  }
  return issues;
}

function outputFaults({ output, output_limit }: Pick<ExecConfig, "output" | "output_limit">): readonly Issue[] {
  if (output === undefined || new TextEncoder().encode(output).length <= output_limit) return [];
  return [{
    message: `Cannot use output: must be at most output_limit bytes long; output_limit is ${output_limit}`,
    path: ["output"],
  }];
}
