/**
 * Runs the tests in which the version of HAProxy shows, with each version that
 * can be had: `deno run tests/haproxy_gate.ts [VERSION…]`, all of them unless
 * named. An unavailable one is reported and skipped.
 *
 * @module
 */
import { HAPROXY_VERSIONS } from "./haproxy_versions.ts";
import { runAndExit, STEPS } from "./run.ts";

if (import.meta.main) {
  const known: readonly string[] = HAPROXY_VERSIONS;
  const unknown = Deno.args.filter((arg) => !known.includes(arg));
  if (unknown.length > 0) {
    // deno-lint-ignore no-console -- a program's last word
    console.error(`Cannot test HAProxy ${unknown.join(", ")}: known versions are ${HAPROXY_VERSIONS.join(", ")}`);
    Deno.exit(2);
  }
  const versions = HAPROXY_VERSIONS.filter((version) => Deno.args.length === 0 || Deno.args.includes(version));
  const steps = STEPS.filter(({ haproxy }) => haproxy !== undefined);
  await runAndExit(steps.map((step) => ({ ...step, haproxy: versions.map((version) => [version]) })));
}
