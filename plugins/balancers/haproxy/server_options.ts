import type { RejectedCommand } from "../../../mod.ts";
import { isAtLeast, type Version } from "./backend.ts";

/**
 * Options without meaning for a server that has an address and is enabled as it joins, and how many words
 * they have. `add server` rejects them, or worse: `enabled` makes 2.6 register a server that never gets a
 * request.
 */
const SAY_NOTHING: ReadonlyMap<string, number> = new Map([
  ["enabled", 1],
  ["stick", 1],
  ["init-addr", 2],
  ["resolvers", 2],
  ["resolve-net", 2],
  ["resolve-opts", 2],
  ["resolve-prefer", 2],
]);

/** Options that revoke another one. */
const TAKEN_BACK_BY: ReadonlyMap<string, string> = new Map([
  ["no-check", "check"],
  ["no-agent-check", "agent-check"],
]);

/**
 * Options that `add server` rejects, of any version from 2.6 to 3.4: those whose parser has no flag for
 * dynamic servers. What is missing here is learnt from the first answer, see {@linkcode learntRejections}.
 */
const REJECTED: ReadonlySet<string> = new Set([
  "cc",
  "check-sni-auto",
  "id",
  "log-bufsize",
  "log-proto",
  "max-reuse",
  "namespace",
  "no-check-reuse-pool",
  "no-check-send-proxy",
  "no-check-ssl",
  "no-send-proxy-v2-ssl",
  "no-send-proxy-v2-ssl-cn",
  "no-ssl",
  "non-stick",
  "redir",
  "sni-auto",
  "socks4",
  "ssl-reuse",
  "tcp-md5sig",
  "tcp-ut",
]);

/**
 * The options of a server as `add server` accepts them: without those that are meaningless there, or were
 * revoked.
 */
export function runtimeOptions(options: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let at = 0; at < options.length;) {
    const option = options[at] as string;
    const takenBack = TAKEN_BACK_BY.get(option);
    const length = SAY_NOTHING.get(option);
    if (takenBack !== undefined) kept.splice(0, kept.length, ...kept.filter((other) => other !== takenBack));
    else if (length === undefined) kept.push(option);
    at += length ?? 1;
  }
  return kept;
}

/** The first option that cannot be set over the socket, if any. */
export function rejectedOption(
  options: readonly string[],
  { version, learnt }: { readonly version: Version | undefined; readonly learnt: ReadonlySet<string> },
): string | undefined {
  return options.find((word) =>
    REJECTED.has(word) || learnt.has(word) || (word === "cookie" && !isAtLeast(version, 3, 0)) ||
    // The socket's commands have no quotes: such a word would be another one there, or several.
    word === "" || /[\s"'\\#$;<]/.test(word)
  );
}

/** The options that HAProxy itself has rejected over the socket. */
export function learntRejections(rejected: readonly RejectedCommand[]): ReadonlySet<string> {
  return new Set(
    rejected.flatMap(({ answer }) => /'([^']+)' option is not accepted for dynamic server/.exec(answer)?.[1] ?? []),
  );
}

/**
 * The backends whose new servers wait for a reload, with HAProxy's own words for it: a certificate, a CA or a
 * revocation list is read from disk when a process starts, and `add server` accepts only what was read then.
 */
export function missingFiles(rejected: readonly RejectedCommand[]): ReadonlyMap<string, string> {
  return new Map(rejected.flatMap(({ command, answer, isCurrent }): [string, string][] => {
    const backend = /^add server ([^/\s]+)\//.exec(command)?.[1];
    const [words = ""] = answer.split("\n");
    return isCurrent && backend !== undefined && /\bunable to (?:load|stat)\b/.test(words) ? [[backend, words]] : [];
  }));
}
