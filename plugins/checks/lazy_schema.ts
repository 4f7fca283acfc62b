import type { Schema } from "../../mod.ts";

/**
 * A schema that is loaded on first use. Only a worker that
 * describes a plugin validates; the many workers that probe need no validator.
 */
export function lazySchema<Output>(load: () => Promise<Schema<Output>>): Schema<Output> {
  return {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      validate: async (value) => await (await load())["~standard"].validate(value),
    },
  };
}
