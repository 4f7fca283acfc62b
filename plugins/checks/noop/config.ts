import { converted, houseSchema, keys, optional } from "../../../src/kernel/schema.ts";

/** The section `noop:` of a service file, validated. */
export interface NoopConfig {
  /** The outcome of every probe. */
  readonly status: "pass" | "fail";
}

/** Validates `noop:` of a service file. */
export const schema = houseSchema(keys({
  status: optional(
    converted((value) => value === "pass" || value === "fail" ? value : undefined, '"pass" or "fail"'),
    "pass",
  ),
}));
