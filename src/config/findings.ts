import type { Severity } from "./diagnostics.ts";

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
