import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "@optique/core/parser";
import { type DaemonArguments, daemons } from "./daemon_arguments.ts";
import { readDaemonArguments } from "./daemon_command_line.ts";

/** What the library that reads all commands says. */
function byLibrary(args: readonly string[]): DaemonArguments | undefined {
  const result = parse(daemons, args);
  return result.success ? result.value : undefined;
}

const LINES: readonly (readonly string[])[] = [
  ["writer", "/etc/lighthouse"],
  ["reporter", "dir", "--host", "web1.example.org", "--ip=10.0.0.1", "--peer-port", "1024"],
  ["run", "--status", "127.0.0.1:9180", "--admin", "unix:/run/lighthouse/admin.sock", "dir"],
  ["writer", "dir", "--once", "--no-reload", "--timeout", "5s", "--log-level=debug", "--log-format", "json"],
  ["run", "dir", "--admin", "[::1]:1", "--admin-tokens", "a", "--admin-tls-cert=b", "--admin-tls-key", "c"],
  ["reporter", "dir", "--lifecycle", "0.0.0.0:8081", "--ip", "2001:db8::1"],
];

for (const line of LINES) {
  Deno.test(`daemon arguments: ${line.join(" ")} is read as by the library that reads all commands`, () => {
    const given = readDaemonArguments(line);
    assert.notEqual(given, undefined);
    assert.deepEqual(given, byLibrary(line));
  });
}

const WORDS = [
  ...["writer", "reporter", "run", "check", "dir", "", "-", "--", "--help", "-h", "--unknown", "--once", "--once=x"],
  ...[
    "--no-reload",
    "--timeout",
    "--timeout=1s",
    "1s",
    "50ms",
    "2h",
    "--log-level",
    "--log-level=info",
    "debug",
    "loud",
  ],
  ...[
    "--log-format",
    "human",
    "--host",
    "--host=a.b",
    "web1",
    "a b",
    "--ip",
    "10.0.0.1",
    "::1",
    "1.2.3",
    "--ip=10.0.0.2",
  ],
  ...["--peer-port", "1", "0", "65536", "007", "+5", "1.0", "--status", "127.0.0.1:1", "unix:/a", "unix:a", "--admin"],
  ...["--admin-tokens", "--admin-tokens=", "--admin-tls-cert", "--admin-tls-key", "--lifecycle", "--status=unix:/x"],
];

Deno.test("daemon arguments: any command line is read as by that library, or is left to it", () => {
  const word = fc.constantFrom(...WORDS);
  const line = fc.oneof(
    fc.array(word, { maxLength: 6 }),
    fc.tuple(fc.constantFrom("writer", "reporter", "run"), fc.array(word, { maxLength: 6 })).map(([name, rest]) => [
      name,
      ...rest,
    ]),
  );
  fc.assert(fc.property(line, (args) => {
    const given = readDaemonArguments(args);
    if (given !== undefined) assert.deepEqual(given, byLibrary(args));
  }));
});
