import { type DoctorFinding, examine } from "../app/doctor.ts";
import type { Identity } from "../app/host_facts.ts";
import { readDirectory } from "../app/validate.ts";
import type { HostSettings } from "../config/desired.ts";
import type { Clock } from "../kernel/clock.ts";
import { escapeUnprintable } from "../kernel/quote.ts";
import type { Random } from "../kernel/random.ts";
import { type AskStatus, askStatus } from "./ask_status.ts";
import { historyDirOf } from "./history.ts";

/** What `doctor` gets from its command line. */
export interface DoctorArguments extends AskStatus {
  readonly json: boolean;
}

/** What `doctor` needs of the process. */
export interface DoctorCommandOptions {
  readonly dir: string;
  readonly fromHere: (path: string) => string;
  readonly identify: (said: HostSettings) => Promise<Identity>;
  readonly stateDirectory: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly color: boolean;
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
}

const COLORS: Readonly<Record<DoctorFinding["level"], number>> = { ok: 32, warning: 33, error: 31 };
const RANK: Readonly<Record<DoctorFinding["level"], number>> = { ok: 0, warning: 1, error: 2 };

/** Prints what usually goes wrong and does here, or is about to; answers the exit code. */
export async function doctor(given: DoctorArguments, options: DoctorCommandOptions): Promise<number> {
  const { dir, fromHere, identify, clock, random, signal, color, print } = options;
  const asked = {
    ...given,
    tokenFile: given.tokenFile && fromHere(given.tokenFile),
    ca: given.ca && fromHere(given.ca),
  };
  const [directory, { answered, silent }] = await Promise.all([readDirectory(dir), askStatus(asked, { dir, signal })]);
  const processes = answered.map(({ status: { role, pid, workers } }) => ({
    role,
    pid,
    workers: Object.keys(workers).length,
  }));
  const found = [
    ...silent.map(({ at, reason }): DoctorFinding => ({
      check: "process",
      level: "warning",
      text: `Cannot read the status from ${at}: ${reason}`,
      fix: `systemctl status lighthouse-${at.includes("reporter") ? "reporter" : "writer"}`,
    })),
    ...answered.map(({ at, status: { role, pid } }): DoctorFinding => ({
      check: "process",
      level: "ok",
      text: `The ${role}, pid ${pid}, responds at ${at}`,
    })),
    ...await examine({ dir, directory, processes, identify, clock, random, signal }),
    ...await historyFinding(options),
  ].toSorted((a, b) => RANK[b.level] - RANK[a.level]);
  if (given.json) print(JSON.stringify(found));
  else {
    for (const { check, level, text, fix } of found) {
      const mark = color ? `\x1b[${COLORS[level]}m${level.padEnd(7)}\x1b[0m` : level.padEnd(7);
      print(`${mark}  ${check.padEnd(20)}  ${escapeUnprintable(text)}`);
      if (fix !== undefined) print(`${" ".repeat(9)}fix: ${escapeUnprintable(fix)}`);
    }
  }
  return Math.max(0, ...found.map(({ level }) => RANK[level]));
}

async function historyFinding(options: DoctorCommandOptions): Promise<readonly DoctorFinding[]> {
  const dir = await historyDirOf({}, options);
  try {
    await Deno.stat(dir);
    return [{ check: "history", level: "ok", text: `History is kept in ${dir}` }];
  } catch {
    return [{
      check: "history",
      level: "warning",
      text: `No history in ${dir}`,
      fix: "set history_dir in lighthouse.yaml, or StateDirectory=lighthouse in the unit",
    }];
  }
}
