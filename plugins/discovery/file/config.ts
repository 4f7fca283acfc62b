import * as v from "valibot";
import { flag, houseSchema, keys, optional, seconds, word } from "../../../src/kernel/schema.ts";

/** `discovery/file.yaml`, validated. */
export interface FileConfig {
  /** The absolute path of the directory, without a slash at its end. */
  readonly path: string;
  /** How long a node stays after its reporter's last sign of life. */
  readonly ttlMs: number;
  /** Whether host names in files are resolved. */
  readonly resolveNames?: boolean | undefined;
}

const PATH_WANTED = "the absolute path of a directory, such as /run/lighthouse/registry";

/** The validator of `discovery/file.yaml`. */
export const schema = houseSchema(v.pipe(
  keys({
    path: v.pipe(
      word(PATH_WANTED),
      v.check(isDirectoryPath, PATH_WANTED),
      v.transform((path) => path.replace(/\/+$/, "")),
    ),
    ttl: optional(seconds({ min: 0.5, max: 3_600 }), 5),
    resolve_names: optional(flag(), false),
  }),
  v.transform(({ path, ttl, resolve_names }): FileConfig => ({
    path,
    ttlMs: Math.round(ttl * 1_000),
    resolveNames: resolve_names,
  })),
));

/**
 * The permission is for one directory, so its path must be unambiguous: the root is too much, and dots are
 * another spelling.
 */
function isDirectoryPath(path: string): boolean {
  const [first, ...names] = path.replace(/\/+$/, "").split("/");
  // deno-lint-ignore no-control-regex -- no one names a directory so on purpose.
  const isName = (name: string) => name !== "" && name !== "." && name !== ".." && !/[\u0000-\u001f]/.test(name);
  return first === "" && names.length > 0 && names.every(isName);
}
