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
  text,
  unwanted,
  word,
} from "../../../src/kernel/schema.ts";
import { clusters, FILE_KEYS, fileFaults, filePath, PACE_KEYS } from "../outputs/keys.ts";
import type { OutputFile } from "../outputs/plan.ts";

/** A template, and the file that is made of it. */
export interface TemplateFile extends OutputFile {
  /** The template's file, as the config names it; `text` if the config contains it. */
  readonly name: string;
  /** The template. */
  readonly template: string;
  /** The keys that it reads. */
  readonly keys?: { readonly discovery: string; readonly prefix: string } | undefined;
  /** The command that makes the readers of the file load it. */
  readonly reload?: readonly string[] | undefined;
}

/** A file of balancers/ of type `template`, validated. */
export interface TemplateConfig {
  readonly clusters?: "all" | readonly string[] | undefined;
  readonly splayMs: number;
  readonly reloadIntervalMs: number;
  readonly files: readonly TemplateFile[];
}

/** How many files one balancer renders. */
const FILES_MAX = 100;

const FILES = "a list of at least one file";

const balancer = houseSchema(keys({
  clusters: clusters(),
  ...PACE_KEYS,
  files: v.pipe(
    list(
      keys({
        template: optional(word("the path of a template, relative to the config directory")),
        text: optional(text("the content of a template")),
        dest: filePath(),
        keys: optional(keys({
          discovery: word("the name of a discovery"),
          prefix: word("a key prefix, such as /app"),
        })),
        ...FILE_KEYS,
      }),
      FILES,
    ),
    v.minLength(1, FILES),
    v.maxLength(FILES_MAX, `a list of at most ${FILES_MAX} files`),
  ),
}));

/** Validates `balancers/NAME.yaml`. */
export const balancerSchema: HouseSchema<TemplateConfig> = mapped(
  refined(balancer, ({ files }) => {
    const taken = new Set<string>();
    return files.flatMap((file, i): readonly Issue[] => {
      const isTaken = taken.has(file.dest);
      taken.add(file.dest);
      return [
        ...file.template === undefined && file.text === undefined
          ? [{
            message: `Missing key files[${i}].template: must be the path of a template, unless text is set`,
            path: ["files", i],
          }]
          : [],
        ...isTaken ? [unwanted(["files", i, "dest"], "a path that no other file uses", file.dest)] : [],
        ...file.dest.endsWith(".pid")
          ? [unwanted(["files", i, "dest"], "a path that does not end in .pid", file.dest)]
          : [],
        ...fileFaults(file, ["files", i]),
      ];
    });
  }, ["files"]),
  (file): TemplateConfig => ({
    clusters: file.clusters,
    splayMs: file.splay * 1_000,
    reloadIntervalMs: file.reload_interval * 1_000,
    files: file.files.map((each) => ({
      name: each.template ?? "text",
      template: each.text ?? "",
      path: each.dest,
      mode: each.mode,
      owner: each.owner,
      check: each.check_command,
      reload: each.reload_command,
      timeoutMs: each.timeout * 1_000,
      rollback: each.rollback,
      keys: each.keys,
    })),
  }),
);

/** Validates the section of a cluster's file: it has no keys. */
export const clusterSchema: HouseSchema<object> = houseSchema(keys({}));
