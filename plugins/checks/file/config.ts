import { converted, houseSchema, keys, matching, optional } from "../../../src/kernel/schema.ts";

/** The section `file:` of a service file, validated. */
export interface FileConfig {
  /** The absolute path of the flag file. */
  readonly path: string;
  /** What takes the service out: the file's presence or its absence. */
  readonly down_when: "exists" | "absent";
}

/** Validates `file:` of a service file. */
export const schema = houseSchema(keys({
  path: matching(/^\/[^\0]+$/, "an absolute file path"),
  down_when: optional(
    converted((value) => value === "exists" || value === "absent" ? value : undefined, '"exists" or "absent"'),
    "exists",
  ),
}));
