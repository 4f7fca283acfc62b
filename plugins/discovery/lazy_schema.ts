import type { Schema } from "../../mod.ts";

/**
 * A validator that is loaded when it is used: the host validates and never loads a client, a serving worker
 * never loads a validator.
 */
export function lazySchema<Output>(load: () => Promise<Schema<Output>>): Schema<Output> {
  return {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      validate: async (value) => (await load())["~standard"].validate(value),
    },
  };
}
