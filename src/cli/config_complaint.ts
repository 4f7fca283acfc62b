import type { Validated } from "../app/validate.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";
import { EXIT } from "./exit_codes.ts";

/** Prints the errors of a config directory, then why a command cannot use it; returns the exit code. */
export function complainOfConfig(
  { diagnostics }: Validated,
  { reason, complain }: { readonly reason?: string | undefined; readonly complain: (line: string) => void },
): number {
  for (const diagnostic of diagnostics) {
    if (diagnostic.severity === "error") complain(formatDiagnostic(diagnostic));
  }
  if (reason !== undefined) complain(reason);
  return EXIT.failed;
}
