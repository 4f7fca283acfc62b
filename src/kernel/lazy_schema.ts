/** A Standard Schema, as far as it is called. */
interface Validator<Result> {
  readonly "~standard": { readonly validate: (value: unknown) => Result | Promise<Result> };
}

/** A Standard Schema whose validator is loaded on first use. */
export interface LazySchema<Result> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: "lighthouse";
    readonly validate: (value: unknown) => Promise<Result>;
  };
}

/**
 * A schema that is loaded on first use. The host validates and never loads a client; a worker that
 * probes, watches or delivers never loads a validator.
 */
export function lazySchema<Result>(load: () => Promise<Validator<Result>>): LazySchema<Result> {
  return {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      validate: async (value) => await (await load())["~standard"].validate(value),
    },
  };
}
