/**
 * How a host stands, on one screen: problems first. Pure.
 *
 * @module
 */
import { counted } from "../kernel/counted.ts";
import { formatDuration } from "../kernel/duration.ts";
import { escapeUnprintable } from "../kernel/quote.ts";
import type { Status } from "../status/status_shape.ts";
import type { AnsweredAll } from "./ask_status.ts";

/** How a host, or a process, is. */
export type Level = "ok" | "degraded" | "failing";

/** One thing that is wrong. */
export interface Problem {
  readonly level: Exclude<Level, "ok">;
  /** The process that says so: `writer`. */
  readonly role: string;
  readonly text: string;
}

const RANK: Readonly<Record<Level, number>> = { ok: 0, degraded: 1, failing: 2 };

/** What is wrong on a host, the worst first. */
export function problemsOf({ answered, silent }: AnsweredAll): readonly Problem[] {
  const problems = [
    ...silent.map(({ at, reason }): Problem => ({
      level: "failing",
      role: "host",
      text: `Cannot read the status from ${at}: ${reason}`,
    })),
    ...answered.flatMap(({ status: { role }, health: { reasons = [], degraded = [] } }) => [
      ...reasons.map((text): Problem => ({ level: "failing", role, text })),
      ...degraded.map((text): Problem => ({ level: "degraded", role, text })),
    ]),
  ];
  return problems.toSorted((a, b) => RANK[b.level] - RANK[a.level]);
}

/** How bad all of it is. */
export function levelOf(problems: readonly Problem[]): Level {
  return problems.some(({ level }) => level === "failing") ? "failing" : problems.length > 0 ? "degraded" : "ok";
}

/** One line of a process: what it is about, and whether that is fine. */
interface Row {
  readonly kind: string;
  readonly name: string;
  readonly isFine: boolean;
  readonly text: string;
}

/** So many rows of a kind that are fine are printed. */
const FINE_ROWS_MAX = 20;
const COLORS: Readonly<Record<Level, number>> = { ok: 32, degraded: 33, failing: 31 };

/** Writes it. */
export function* statusText(all: AnsweredAll, { color }: { readonly color: boolean }): Generator<string> {
  const paint = (text: string, code: number) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const problems = problemsOf(all);
  const level = levelOf(problems);
  const host = all.answered.flatMap(({ status }) => status.host ?? [])[0];
  yield `${host === undefined ? "This host" : `${host.name} (${host.ip})`}: ${paint(level, COLORS[level])}`;
  for (const { level, role, text } of problems) {
    yield `  ${paint(level.padEnd(8), COLORS[level])}  ${role.padEnd(8)}  ${escapeUnprintable(text)}`;
  }
  for (const { status } of all.answered) {
    const { role, pid, version, upSeconds, config } = status;
    const counts = `${counted(config.errors, "error")}, ${counted(config.warnings, "warning")}`;
    yield "";
    yield `${role} ${version}, pid ${pid}, up ${age(upSeconds)}, config ${config.dir} (${counts})`;
    yield* rowsText(rowsOf(status), paint);
  }
}

function* rowsText(rows: readonly Row[], paint: (text: string, code: number) => string): Generator<string> {
  for (const of of Map.groupBy(rows, ({ kind }) => kind).values()) {
    const bad = of.filter(({ isFine }) => !isFine);
    const fine = of.filter(({ isFine }) => isFine);
    for (const { kind, name, isFine, text } of [...bad, ...fine.slice(0, FINE_ROWS_MAX)]) {
      const mark = isFine ? paint("ok ", COLORS.ok) : paint("!! ", COLORS.degraded);
      yield `  ${mark} ${kind.padEnd(9)} ${escapeUnprintable(name).padEnd(24)} ${escapeUnprintable(text)}`;
    }
    if (fine.length > FINE_ROWS_MAX) {
      yield `      ${of[0]?.kind.padEnd(9)} and ${fine.length - FINE_ROWS_MAX} more without problems`;
    }
  }
}

function rowsOf(status: Status): readonly Row[] {
  const { discovery, clusters, balancers, services, workers, stuckThreads, hungPlugins } = status;
  return [
    ...Object.entries(balancers).map(([name, each]): Row => ({
      kind: "balancer",
      name,
      isFine: each.inForce && each.paused === null && each.standby === null && each.fileBehind === null &&
        each.unserved.length === 0 &&
        each.leftOut === 0,
      text: balancerText(each),
    })),
    ...Object.entries(clusters).map(([name, each]): Row => ({
      kind: "cluster",
      name,
      isFine: each.state === "current" && each.emptied === null && !each.outdated,
      text: clusterText(each),
    })),
    ...Object.entries(services).map(([name, each]): Row => ({
      kind: "service",
      name,
      isFine: each.status === "up" &&
        (each.registration === null || each.registration.done && each.registration.contestedBy === null),
      text: serviceText(each),
    })),
    ...Object.entries(discovery).map(([name, { registry, forSeconds, detail }]): Row => ({
      kind: "registry",
      name,
      isFine: registry === "connected",
      text: [registry, forSeconds === null ? "" : `for ${age(forSeconds)}`, detail ?? ""].filter((x) => x !== "").join(
        " ",
      ),
    })),
    ...Object.entries(workers).filter(([, { serving }]) => !serving).map(([name, { forSeconds, reason }]): Row => ({
      kind: "worker",
      name,
      isFine: false,
      text: `down for ${age(forSeconds)}: ${reason ?? "no reason given"}`,
    })),
    ...stuckThreads > 0
      ? [{
        kind: "threads",
        name: "stuck",
        isFine: false,
        text: `${stuckThreads}; the process restarts when 2 are stuck`,
      }]
      : [],
    ...hungPlugins.map(({ plugin, reason, file }): Row => ({
      kind: "plugin",
      name: plugin,
      isFine: false,
      text: `disabled: ${reason}; remove ${file} to enable the plugin`,
    })),
  ];
}

function balancerText(each: Status["balancers"][string]): string {
  const {
    inForce,
    forSeconds,
    gone,
    reloads,
    lastReload,
    lastError,
    waits,
    paused,
    fileBehind,
    olderPids,
    unserved,
    leftOut,
    standby,
  } = each;
  const parts = [
    gone ? "not running" : inForce ? `in sync for ${age(forSeconds)}` : `out of sync for ${age(forSeconds)}`,
    ...standby === null ? [] : [`on standby: ${standby}`],
    ...paused === null ? [] : [`paused by ${paused.author}`],
    ...fileBehind === null ? [] : [`file behind: ${fileBehind.text}`],
    `${counted(reloads, "reload")}${
      lastReload === null ? "" : `, last ${age(lastReload.agoSeconds)} ago: ${lastReload.text}`
    }`,
    ...unserved.length === 0 ? [] : [`not serving ${unserved.join(", ")}`],
    ...leftOut === 0 ? [] : [`${counted(leftOut, "part")} of the config skipped`],
    ...olderPids.length === 0 ? [] : [counted(olderPids.length, "old worker")],
    ...inForce || lastError === null ? [] : [lastError.text],
    ...waits.map(({ why, inSeconds }) => `waiting ${age(Math.max(0, inSeconds))}: ${why}`),
  ];
  return parts.join("; ");
}

function clusterText({ state, reason, forSeconds, nodes, emptied, discovery }: Status["clusters"][string]): string {
  const since = forSeconds === null ? "" : ` for ${age(forSeconds)}`;
  const had = emptied === null ? "" : ` (had ${emptied.had})`;
  return `${counted(nodes, "node")}${had} from ${discovery}; ${state}${since}${reason === null ? "" : `: ${reason}`}`;
}

function serviceText({ status, forSeconds, checks, registration, discovery }: Status["services"][string]): string {
  const failing = checks.filter(({ failure }) => failure !== null).map(({ name, failure }) => `${name}: ${failure}`);
  const how = registration === null
    ? "not registered yet"
    : registration.contestedBy !== null
    ? `contested by ${registration.contestedBy}`
    : registration.done
    ? registration.wanted === "present" ? "registered" : "not registered"
    : `not yet ${registration.wanted === "present" ? "registered" : "deregistered"}: ${
      registration.failure ?? "no response yet"
    }`;
  return [`${status} for ${age(forSeconds)}; ${how} in ${discovery}`, ...failing].join("; ");
}

/** An age as a person says it: two units at most. */
function age(seconds: number): string {
  if (seconds < 1) return formatDuration(Math.round(seconds * 1_000));
  const whole = Math.floor(seconds);
  const [d, h, m, s] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3_600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  const units = [[d, "d"], [h, "h"], [m, "m"], [s, "s"]] as const;
  const first = units.findIndex(([count]) => count > 0);
  return units.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`).join(
    " ",
  );
}
