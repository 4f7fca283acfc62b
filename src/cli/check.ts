import { validateDirectory } from "../app/validate.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";

/** What `check` is told. */
export interface CheckOptions {
  readonly dir: string;
  /** Whether warnings fail too. */
  readonly strict: boolean;
  /** Whether each finding is printed as one JSON object. */
  readonly json: boolean;
  /** Whether the text is coloured. */
  readonly color: boolean;
  /** Takes each line of the findings, without its end. */
  readonly print: (line: string) => void;
}

/** Validates a config directory and prints every finding; answers the exit code. */
export async function check({ dir, strict, json, color, print }: CheckOptions): Promise<0 | 1> {
  const { diagnostics } = await validateDirectory(dir, { role: "check" });
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const warnings = diagnostics.length - errors;
  for (const diagnostic of diagnostics) {
    print(json ? JSON.stringify(diagnostic) : formatDiagnostic(diagnostic, { color }));
  }
  const failed = errors > 0 || (strict && warnings > 0);
  if (!json) {
    print(`${dir}: ${failed ? "not valid" : "valid"}: ${count(errors, "error")}, ${count(warnings, "warning")}`);
  }
  return failed ? 1 : 0;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
