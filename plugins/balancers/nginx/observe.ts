import type { Seen } from "../../../mod.ts";
import type { NginxConfig } from "./config.ts";
import { parseStatus } from "./status.ts";

/** The observed state of nginx. */
export interface Observed {
  /** The hash of the config that it serves; `undefined` if nobody answers at the status socket. */
  readonly hash?: string | undefined;
  /** The process that gets signals: the master. */
  readonly masterPid?: number | undefined;
  /** Whether it runs in another PID namespace, so that it can get no signal. */
  readonly isContained: boolean;
  /** Processes of nginx that serve, and that nobody can reload. */
  readonly orphans: readonly number[];
  /** The file. */
  readonly file?: string | undefined;
}

/** Interprets what the host saw. Throws if another program answers at the status socket. */
export function observe(
  { answers, files, pid, masterPid, isContained = false, orphans = [] }: Seen,
  { configFile, statusSocket }: Pick<NginxConfig, "configFile" | "statusSocket">,
): Observed {
  const file = files?.get(configFile);
  if (answers === undefined) return { isContained: false, orphans, file };
  const [answer = ""] = answers;
  const status = parseStatus(answer);
  if (status === undefined) {
    const wanted = "the status of an nginx that runs a Lighthouse config";
    throw new Error(`Got ${JSON.stringify(answer.slice(0, 200))} from ${statusSocket}, expected ${wanted}`);
  }
  return { hash: status.hash, masterPid: masterPid ?? pid, isContained, orphans: [], file };
}
