import type { ProcessSources } from "../../../mod.ts";
import type { NginxConfig } from "./config.ts";
import { STATUS_PATH, STUB_STATUS_PATH } from "./status.ts";

/** Where nginx is, and how it is queried. */
export function sources(config: NginxConfig): ProcessSources {
  const { configFile, statusSocket, pidFile, program, reloadIntervalMs } = config;
  return {
    kind: "process",
    file: configFile,
    program,
    alsoWrites: [pidFile, statusSocket],
    // Any worker may answer; their master is the process that is reloaded.
    contact: { by: "http", socket: statusSocket, queries: [STATUS_PATH, STUB_STATUS_PATH], answeredBy: "workers" },
    // A worker or a master that receives it finishes its requests, and accepts no new ones.
    leavesOn: "SIGQUIT",
    // `nginx -t` checks a file, and exits.
    otherRuns: ["-t", "-s"],
    reloadIntervalMs,
  };
}
