import type { Dialect, ProcessSources } from "../../../mod.ts";
import type { HaproxyConfig } from "./config.ts";
import { DETAILS, QUERIES } from "./observe.ts";

/**
 * HAProxy's interactive mode: each answer ends with a prompt. (In the other mode some answers end with one
 * line break and some with two, so they cannot be separated.) The socket reads lines into a buffer of 16 kB.
 */
export const PROMPT: Dialect = { opening: "prompt", ending: "\n> ", batchBytesMax: 15_000 };

/** Where HAProxy is, and how it is queried. */
export function sources(config: HaproxyConfig): ProcessSources {
  const { configFile, socketFile, pidFile, masterSocket, program, restartIntervalMs, reloadJitterMs } = config;
  return {
    kind: "process",
    file: configFile,
    program,
    alsoWrites: [pidFile, ...masterSocket === undefined ? [] : [masterSocket]],
    contact: { by: "commands", socket: socketFile, queries: QUERIES, details: DETAILS, dialect: PROMPT },
    // A soft stop (Management Guide, 4): it finishes its connections, and accepts no new ones.
    leavesOn: "SIGUSR1",
    // `haproxy -c` checks a file, and exits.
    otherRuns: ["-c"],
    chatter: ["Warnings were found"],
    reloadIntervalMs: restartIntervalMs,
    reloadJitterMs,
  };
}
