import type { ProcessSources } from "../../../mod.ts";
import type { NginxConfig } from "./config.ts";
import { STATUS_PATH, STUB_STATUS_PATH } from "./status.ts";

/** Says where nginx is, and how it is asked. */
export function sources(config: NginxConfig): ProcessSources {
  const { configFile, statusSocket, pidFile, program, reloadIntervalMs } = config;
  return {
    kind: "process",
    file: configFile,
    program,
    alsoWrites: [pidFile, statusSocket],
    // Any worker may answer; the process that is reloaded is their master.
    contact: { by: "http", socket: statusSocket, queries: [STATUS_PATH, STUB_STATUS_PATH], answeredBy: "workers" },
    // A worker or a master that gets it finishes its requests, and takes no new ones.
    leavesOn: "SIGQUIT",
    // `nginx -t` checks a file, and ends.
    otherRuns: ["-t", "-s"],
    reloadIntervalMs,
  };
}
