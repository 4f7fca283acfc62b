/**
 * `error`: the file is not used, its last valid version stays. `warning`: it is
 * used anyway. `notice`: correct, but worth knowing.
 */
export type Severity = "error" | "warning" | "notice";

/** Keys and indexes from the root of a file's value. */
export type Path = readonly (string | number)[];

/** A finding about a value of a file. */
export interface Finding {
  readonly severity: Severity;
  readonly path: Path;
  /** What is wrong and what is wanted. */
  readonly message: string;
  /** Whether it is about the key itself or its value. */
  readonly at: "key" | "value";
}
