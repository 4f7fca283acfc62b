import { converted, houseSchema, keys, matching, optional } from "../../../src/kernel/schema.ts";

/** What `file:` says in a service file, validated. */
export interface FileConfig {
  /** The absolute path of the flag file. */
  readonly path: string;
  /** What takes the service out: that the file is there, or that it is not. */
  readonly down_when: "exists" | "absent";
}

/** Validates `file:` of a service file. */
export const schema = houseSchema(keys({
  path: matching(/^\/[^\0]+$/, "the absolute path of a file"),
  down_when: optional(
    converted((value) => value === "exists" || value === "absent" ? value : undefined, '"exists" or "absent"'),
    "exists",
  ),
}));
