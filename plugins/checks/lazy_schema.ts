import type { Schema } from "../../mod.ts";

/**
 * A schema that is loaded when it is first asked. Only who
 * describes a plugin validates; the many workers that probe never pay for a validator.
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
