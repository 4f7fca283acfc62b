/**
 * `error`: the file is not used, its last good content stays. `warning`: it is
 * used all the same. `notice`: nothing is wrong, but worth knowing.
 */
export type Severity = "error" | "warning" | "notice";

/** Keys and indexes from the root of a file's value. */
export type Path = readonly (string | number)[];

/** One thing to tell of a value of the file. */
export interface Finding {
  /** How bad it is. */
  readonly severity: Severity;
  /** Where. */
  readonly path: Path;
  /** What is wrong and what is wanted. */
  readonly message: string;
  /** Whether it is about the key itself or about its value. */
  readonly at: "key" | "value";
}
