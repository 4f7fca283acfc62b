import { converted, flag, matching, optional } from "../../src/kernel/schema.ts";
import { isHostName } from "../../src/model/endpoint.ts";

/** The keys of all checks with TLS, as entries of their schemas. */
export const TLS_KEYS = {
  verify: optional(flag(), true),
  ca: optional(matching(/^\/[^\0]+$/, "the absolute path of a PEM file")),
  server_name: optional(
    converted((value) => typeof value === "string" && isHostName(value) ? value : undefined, "a host name"),
  ),
};
