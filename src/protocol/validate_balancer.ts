/**
 * Validates the answers of a balancer's plugin before the host acts on them:
 * shapes, sizes, kinds of steps. The policy decides what it may touch.
 *
 * @module
 */
import { type Node, quote, WEIGHT_MAX } from "../model/node.ts";
import type {
  AskedReload,
  BalancerCounters,
  BalancerInputs,
  BalancerSources,
  CommandStep,
  Contact,
  Dialect,
  EndSignal,
  Explanation,
  FileFault,
  Listening,
  NodeDetail,
  Notice,
  OpenFiles,
  Origin,
  ReloadWay,
  Rendered,
  RenderedFile,
  RestoredFile,
  Signal,
  Step,
  WantedNode,
  Weighing,
} from "../plugin/contract.ts";
import { exactText, InvalidMessage, listOf, nodesOf, number, record, text } from "./values.ts";

/** Maximum length of a config file, in UTF-16 units. */
export const FILE_LENGTH_MAX = 16 * 1024 * 1024;
/** Maximum number of lines of a config file. */
export const LINES_MAX = 200_000;
/** Maximum number of adopted members. */
const MEMBERS_MAX = 100_000;
/** Maximum number of steps of a plan: a command for each of many members. */
export const STEPS_MAX = 100_000;
/** Maximum number of files besides the first. */
const FILES_MAX = 100;
/** Maximum number of prefixes whose keys a balancer reads. */
const KEYS_PLACES_MAX = 100;
/** Maximum number of child processes. */
const CHILDREN_MAX = 16;
/** Maximum length of the end marker of answers. */
const ENDING_LENGTH_MAX = 80;
/** Maximum size of a batch of commands. */
const BATCH_BYTES_MAX = 1_000_000;
/** Signals that a process may get: each has a handler there, none kills. */
const SIGNALS: readonly Signal[] = ["SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH"];
/** Signals that ask a child process to end. */
export const END_SIGNALS: readonly EndSignal[] = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"];
/** Maximum number of queries per observation. */
const QUERIES_MAX = 20;
/** Maximum number of files that a program writes besides its config file. */
const PATHS_MAX = 16;
/** Maximum number of arguments of a program. */
const ARGUMENTS_MAX = 100;
/** Maximum number of notices, faults and omissions. */
const NOTICES_MAX = 100;
/** Maximum number of addresses of one section. */
const LISTENS_MAX = 1_000;
/** Maximum number of orphans that one start relieves. */
const PIDS_MAX = 10_000;
/** Maximum number of states of connections. */
const STATES_MAX = 16;
/** Maximum number of clusters of a config. */
const CLUSTERS_MAX = 10_000;
/** Maximum depth of the config path of a line. */
const PATH_LENGTH_MAX = 100;
/** Maximum delay of a reload. */
const RELOAD_INTERVAL_MAX_MS = 3_600_000;
/** Maximum time to start or reload a balancer. */
const DEADLINE_MAX_MS = 600_000;

/** Validates the addresses that a balancer would listen on. */
export function listenings(value: unknown): readonly Listening[] {
  return listOf(value, "listens", LISTENS_MAX).map(listening);
}

/** Validates a pid: the init process is never a plugin's. */
export function pid(value: unknown): number {
  return integer(value, "pid", 2, 2 ** 31);
}

/** Validates a plan. */
export function steps(value: unknown): readonly Step[] {
  return listOf(value, "steps", STEPS_MAX).map(step);
}

/** Validates the sources of a balancer. */
export function sources(value: unknown): BalancerSources {
  const raw = record(value, "sources");
  const { kind, file, moreFiles, children, directory, reloadIntervalMs, reloadJitterMs } = raw;
  const base = {
    file: exactText(file, "file"),
    ...moreFiles !== undefined && { moreFiles: texts(moreFiles, "moreFiles", FILES_MAX) },
    reloadIntervalMs: within(reloadIntervalMs, "reloadIntervalMs", 0, RELOAD_INTERVAL_MAX_MS),
    ...reloadJitterMs !== undefined && {
      reloadJitterMs: within(reloadJitterMs, "reloadJitterMs", 0, RELOAD_INTERVAL_MAX_MS),
    },
    ...children !== undefined && {
      children: listOf(children, "children", CHILDREN_MAX).map((child) => {
        const { name, pidFile, endsWithWriter, signal } = record(child, "child");
        return {
          name: exactText(name, "name"),
          pidFile: exactText(pidFile, "pidFile"),
          ...endsWithWriter !== undefined && { endsWithWriter: endsWithWriter === true },
          ...signal !== undefined && { signal: endSignal(signal) },
        };
      }),
    },
    ...directory !== undefined && { directory: directoryOf(directory) },
  };
  if (kind === "files") return { kind, ...base };
  if (kind !== "process") {
    throw new InvalidMessage(`kind must be "process" or "files"; received ${quote(kind)}`);
  }
  const { program, alsoWrites, leavesOn, otherRuns, chatter } = raw;
  return {
    kind,
    ...base,
    program: exactText(program, "program"),
    contact: contact(raw.contact),
    ...alsoWrites !== undefined && { alsoWrites: texts(alsoWrites, "alsoWrites", PATHS_MAX) },
    ...leavesOn !== undefined && { leavesOn: signal(leavesOn) },
    ...otherRuns !== undefined && { otherRuns: texts(otherRuns, "otherRuns", ARGUMENTS_MAX) },
    ...chatter !== undefined && { chatter: texts(chatter, "chatter", PATHS_MAX) },
  };
}

function directoryOf(value: unknown): NonNullable<BalancerSources["directory"]> {
  const { path, suffix } = record(value, "directory");
  const ending = exactText(suffix, "suffix");
  if (!/^\.[A-Za-z0-9_.-]{1,32}$/.test(ending)) {
    throw new InvalidMessage(`suffix must begin with a dot; received ${quote(suffix)}`);
  }
  return { path: exactText(path, "path"), suffix: ending };
}

/** Validates what a balancer renders besides the clusters with a section for it. */
export function inputs(value: unknown): BalancerInputs {
  const { clusters, keys } = record(value, "inputs");
  return {
    ...clusters !== undefined && {
      clusters: clusters === "all" ? clusters : texts(clusters, "clusters", CLUSTERS_MAX),
    },
    ...keys !== undefined && {
      keys: listOf(keys, "keys", KEYS_PLACES_MAX).map((place) => {
        const { discovery, prefix } = record(place, "keys");
        return { discovery: exactText(discovery, "discovery"), prefix: exactText(prefix, "prefix") };
      }),
    },
  };
}

/** Validates the names of clusters. */
export function clusterNames(value: unknown): readonly string[] {
  return texts(value, "clusters", CLUSTERS_MAX);
}

function contact(value: unknown): Contact {
  const { by, socket, queries, details, dialect: said, pidFile, proof, answeredBy } = record(value, "contact");
  switch (by) {
    case "pid": {
      if (proof !== "process" && proof !== "children") {
        throw new InvalidMessage(`proof must be "process" or "children"; received ${quote(proof)}`);
      }
      return { by, pidFile: exactText(pidFile, "pidFile"), proof };
    }
    case "http": {
      const asked = texts(queries, "queries", QUERIES_MAX);
      const odd = asked.find((query) => !/^\/[!-~]*$/.test(query));
      if (odd !== undefined) {
        throw new InvalidMessage(`A query over HTTP must be a path; received ${quote(odd)}`);
      }
      if (answeredBy !== undefined && answeredBy !== "workers") {
        throw new InvalidMessage(`answeredBy must be "workers" or absent; received ${quote(answeredBy)}`);
      }
      return {
        by,
        socket: exactText(socket, "socket"),
        queries: asked,
        ...answeredBy !== undefined && { answeredBy },
      };
    }
    case "commands":
      return {
        by,
        socket: exactText(socket, "socket"),
        queries: listOf(queries, "queries", QUERIES_MAX).map((query) => command(query, "query")),
        ...details !== undefined &&
          { details: listOf(details, "details", QUERIES_MAX).map((query) => command(query, "details")) },
        dialect: dialect(said),
      };
    default:
      throw new InvalidMessage(`"by" must be "commands", "http" or "pid"; received ${quote(by)}`);
  }
}

function dialect(value: unknown): Dialect {
  const { opening, ending, batchBytesMax } = record(value, "dialect");
  if (typeof ending !== "string" || ending === "" || ending.length > ENDING_LENGTH_MAX) {
    throw new InvalidMessage(
      `"ending" must have 1 to ${ENDING_LENGTH_MAX} characters; received ${quote(ending)}`,
    );
  }
  return {
    ...opening !== undefined && { opening: command(opening, "opening") },
    ending,
    batchBytesMax: integer(batchBytesMax, "batchBytesMax", 1, BATCH_BYTES_MAX),
  };
}

function signal(value: unknown): Signal {
  const known = SIGNALS.find((name) => name === value);
  if (known === undefined) {
    throw new InvalidMessage(`A signal must be one of ${SIGNALS.join(", ")}; received ${quote(value)}`);
  }
  return known;
}

function texts(value: unknown, key: string, lengthMax: number): readonly string[] {
  return listOf(value, key, lengthMax).map((entry) => exactText(entry, key));
}

function listening(value: unknown): Listening {
  const { host, port, path: at } = record(value, "listening");
  return { host: exactText(host, "host"), port: integer(port, "port", 1, 65_535), path: path(at) };
}

/** Validates the members of clusters; invalid ones are left out. */
export function members(value: unknown): ReadonlyMap<string, readonly Node[]> {
  const found = new Map<string, readonly Node[]>();
  let left = MEMBERS_MAX;
  for (const [cluster, nodes] of entriesOf(value, "members", CLUSTERS_MAX)) {
    // An invalid member is not served again before its registry has confirmed it.
    const members = nodesOf(nodes, []);
    left -= members.length;
    if (left < 0) throw new InvalidMessage(`members must have at most ${MEMBERS_MAX} nodes in total`);
    found.set(exactText(cluster, "cluster"), members);
  }
  return found;
}

/** Takes whether weights decide. */
export function weighing(value: unknown): Weighing {
  const { by, movesKeys, reason, path: at } = record(value, "weighing");
  if (by === "weight") return { by, movesKeys: movesKeys === true };
  if (by !== "other") throw new InvalidMessage('weighing.by must be "weight" or "other"');
  return { by, reason: text(reason, "reason"), path: path(at) };
}

/** Takes the names of nodes that are down, by cluster. */
export function nodesDown(value: unknown): ReadonlyMap<string, readonly string[]> {
  let left = MEMBERS_MAX;
  return new Map(
    entriesOf(value, "down", CLUSTERS_MAX).map(([cluster, names]) => {
      const down = listOf(names, "down", left).map((name) => exactText(name, "node"));
      left -= down.length;
      return [exactText(cluster, "cluster"), down];
    }),
  );
}

/** Takes what a balancer counts. */
export function counters(value: unknown): BalancerCounters {
  const { accepted, handled, requests, open } = record(value, "counters");
  const states = Object.entries(record(open, "open"));
  if (states.length > STATES_MAX) throw new InvalidMessage(`"open" must have at most ${STATES_MAX} states`);
  const count = (each: unknown, name: string) => integer(each, name, 0, Number.MAX_SAFE_INTEGER);
  return {
    accepted: count(accepted, "accepted"),
    handled: count(handled, "handled"),
    requests: count(requests, "requests"),
    open: Object.fromEntries(states.map(([state, each]) => {
      if (!/^[a-z_]{1,32}$/.test(state)) throw new InvalidMessage(`Unknown connection state: ${quote(state)}`);
      return [state, count(each, state)];
    })),
  };
}

/** Takes what a balancer has of its nodes, by cluster. */
export function nodeDetails(value: unknown): ReadonlyMap<string, readonly NodeDetail[]> {
  let left = MEMBERS_MAX;
  return new Map(
    entriesOf(value, "details", CLUSTERS_MAX).map(([cluster, entries]) => {
      const details = listOf(entries, "details", left).map((entry): NodeDetail => {
        const { node, isDown, state, weight, check, sessions } = record(entry, "detail");
        return {
          node: exactText(node, "node"),
          isDown: isDown === true,
          ...state !== undefined && { state: stateOf(state) },
          ...weight !== undefined && { weight: integer(weight, "weight", 0, WEIGHT_MAX) },
          ...check !== undefined && { check: text(check, "check") },
          ...sessions !== undefined && { sessions: integer(sessions, "sessions", 0, Number.MAX_SAFE_INTEGER) },
        };
      });
      left -= details.length;
      return [exactText(cluster, "cluster"), details];
    }),
  );
}

function stateOf(value: unknown): WantedNode["state"] {
  if (value === "ready" || value === "drain" || value === "maint") return value;
  throw new InvalidMessage(`A state must be ready, drain or maint; received ${quote(value)}`);
}

/** Validates the rendered files. */
export function rendered(value: unknown): Rendered {
  const { files, notices, faults } = record(value, "rendered");
  return {
    files: new Map(
      entriesOf(files, "files", FILES_MAX + 1).map(([path, file]) => [
        exactText(path, "path"),
        renderedFile(file),
      ]),
    ),
    notices: listOf(notices, "notices", NOTICES_MAX).map(notice),
    ...faults !== undefined && {
      faults: listOf(faults, "faults", NOTICES_MAX).map((fault) => ({
        ...notice(fault),
        ...record(fault, "fault").isOfData === true && { isOfData: true },
        ...record(fault, "fault").isPending === true && { isPending: true },
      })),
    },
  };
}

function notice(value: unknown): Notice {
  const { text: said, origin: at } = record(value, "notice");
  return { text: text(said, "text"), ...at !== undefined && { origin: origin(at) } };
}

function renderedFile(value: unknown): RenderedFile {
  const { text: contents, mode, owner, origins } = record(value, "file");
  return {
    text: fileText(contents),
    ...mode !== undefined && { mode: integer(mode, "mode", 0, 0o777) },
    ...owner !== undefined && { owner: ownerOf(owner) },
    ...origins !== undefined && {
      origins: new Map(
        entriesOf(origins, "origins", LINES_MAX).map(([line, at]) => [integer(line, "line", 1, LINES_MAX), origin(at)]),
      ),
    },
  };
}

function ownerOf(value: unknown): string {
  const owner = exactText(value, "owner");
  if (!/^[A-Za-z0-9_.-]{1,64}(?::[A-Za-z0-9_.-]{1,64})?$/.test(owner)) {
    throw new InvalidMessage(`owner must be USER or USER:GROUP; received ${quote(owner)}`);
  }
  return owner;
}

function step(value: unknown): Step {
  const raw = record(value, "step");
  switch (raw.do) {
    case "command":
      return commandStep(raw);
    case "install": {
      if (raw.when !== "now" && raw.when !== "soon") {
        throw new InvalidMessage(`"when" must be "now" or "soon"; received ${quote(raw.when)}`);
      }
      return {
        do: "install",
        path: exactText(raw.path, "path"),
        contents: fileText(raw.contents),
        mode: integer(raw.mode, "mode", 0, 0o777),
        ...raw.owner !== undefined && { owner: ownerOf(raw.owner) },
        check: listOf(raw.check, "check", ARGUMENTS_MAX).map((argument) => exactText(argument, "check")),
        when: raw.when,
        ...raw.setsMode === true && { setsMode: true },
        ...raw.checkDeadlineMs !== undefined && {
          checkDeadlineMs: within(raw.checkDeadlineMs, "checkDeadlineMs", 1, DEADLINE_MAX_MS),
        },
        ...output(raw.output),
        ...raw.openFiles !== undefined && { openFiles: openFiles(raw.openFiles) },
      };
    }
    case "remove":
      return { do: "remove", path: exactText(raw.path, "path"), ...output(raw.output) };
    case "start":
      return {
        do: "start",
        reason: reason(raw.reason),
        run: argv(raw.run),
        ...deadline(raw.deadlineMs),
        ...raw.master !== undefined && { master: askedReload(raw.master) },
        ...raw.listens !== undefined && { listens: endpoints(raw.listens) },
        ...raw.serves !== undefined && { serves: proof(raw.serves) },
        ...raw.relieves !== undefined && { relieves: listOf(raw.relieves, "relieves", PIDS_MAX).map(pid) },
      };
    case "reload": {
      const listens = endpoints(raw.listens);
      const then = raw.then === undefined ? undefined : listOf(raw.then, "then", STEPS_MAX).map(commandStep);
      const how = reloadWay(raw.how);
      const cause = causeOf(raw.cause);
      return {
        do: "reload",
        reason: reason(raw.reason),
        ...cause !== undefined && { cause },
        listens,
        how,
        ...then !== undefined && { then },
        ...raw.serves !== undefined && { serves: proof(raw.serves) },
      };
    }
    case "notify":
      return {
        do: "notify",
        reason: reason(raw.reason),
        run: argv(raw.run),
        ...deadline(raw.deadlineMs),
        ...raw.rollback !== undefined && { rollback: listOf(raw.rollback, "rollback", FILES_MAX).map(restoredFile) },
        ...output(raw.output),
      };
    case "supervise":
      return {
        do: "supervise",
        name: exactText(raw.name, "name"),
        reason: reason(raw.reason),
        run: texts(raw.run, "run", ARGUMENTS_MAX),
        ...raw.endsWithWriter !== undefined && { endsWithWriter: raw.endsWithWriter === true },
        ...raw.signal !== undefined && { signal: endSignal(raw.signal) },
        ...raw.graceMs !== undefined && { graceMs: within(raw.graceMs, "graceMs", 0, DEADLINE_MAX_MS) },
        ...raw.writesTo === "log" && { writesTo: raw.writesTo },
        ...raw.intervalMs !== undefined && {
          intervalMs: within(raw.intervalMs, "intervalMs", 0, RELOAD_INTERVAL_MAX_MS),
        },
      };
    default:
      throw new InvalidMessage(`Unknown step kind: ${quote(raw.do)}`);
  }
}

/** Any answer would prove a reload that is proven by the empty string. */
function proof(value: unknown): string {
  const part = exactText(value, "serves");
  if (part === "") throw new InvalidMessage('"serves" must not be empty');
  return part;
}

function output(value: unknown): { readonly output?: string } {
  return value === undefined ? {} : { output: text(value, "output") };
}

function restoredFile(value: unknown): RestoredFile {
  const { path, contents, mode, owner } = record(value, "rollback");
  return {
    path: exactText(path, "path"),
    contents: fileText(contents),
    mode: integer(mode, "mode", 0, 0o777),
    ...owner !== undefined && { owner: ownerOf(owner) },
  };
}

function endSignal(value: unknown): EndSignal {
  const known = END_SIGNALS.find((name) => name === value);
  if (known === undefined) {
    throw new InvalidMessage(`A signal must be one of ${END_SIGNALS.join(", ")}; received ${quote(value)}`);
  }
  return known;
}

function causeOf(value: unknown): "structure" | "members" | "forced" | undefined {
  if (value === undefined || value === "structure" || value === "members" || value === "forced") return value;
  throw new InvalidMessage(`"cause" must be structure, members or forced; received ${quote(value)}`);
}

function endpoints(value: unknown): readonly string[] {
  return listOf(value, "listens", LISTENS_MAX).map((endpoint) => exactText(endpoint, "listens"));
}

function commandStep(value: unknown): CommandStep {
  const raw = record(value, "step");
  return {
    do: "command",
    command: command(raw.command, "command"),
    expect: listOf(raw.expect, "expect", 10).map((each) => pattern(each, "expect")),
    ...raw.found !== undefined && { found: text(raw.found, "found") },
    ...raw.isTimed === true && { isTimed: true },
  };
}

function openFiles(value: unknown): OpenFiles {
  const { needed, refusal, of } = record(value, "openFiles");
  return {
    needed: integer(needed, "needed", 0, 2 ** 40),
    refusal: text(refusal, "refusal"),
    ...of !== undefined && { of: integer(of, "of", 2, 2 ** 31) },
  };
}

function deadline(value: unknown): { readonly deadlineMs?: number } {
  return value === undefined ? {} : { deadlineMs: within(value, "deadlineMs", 1, DEADLINE_MAX_MS) };
}

function reloadWay(value: unknown): ReloadWay {
  const { run, signal: sent, pid, ask, deadlineMs } = record(value, "how");
  if (run !== undefined) return { run: argv(run), ...deadline(deadlineMs) };
  if (ask !== undefined) return askedReload(value);
  if (sent !== undefined) return { signal: signal(sent), pid: integer(pid, "pid", 2, 2 ** 31) };
  throw new InvalidMessage(
    `"how" must run a program, query a master or send a signal; received ${quote(value)}`,
  );
}

function askedReload(value: unknown): AskedReload {
  const { ask, command: said, took, failed, watch, hint } = record(value, "master");
  const watched = watch === undefined ? undefined : record(watch, "watch");
  return {
    ask: exactText(ask, "ask"),
    command: command(said, "command"),
    took: pattern(took, "took"),
    failed: pattern(failed, "failed"),
    ...watched !== undefined && {
      watch: {
        query: command(watched.query, "query"),
        took: pattern(watched.took, "took"),
        failed: pattern(watched.failed, "failed"),
      },
    },
    ...hint !== undefined && { hint: text(hint, "hint") },
  };
}

/** Validates the reasons why a file was rejected. */
export function explanation(value: unknown): Explanation {
  const { cluster, faults } = record(value, "explanation");
  return {
    ...cluster !== undefined && { cluster: exactText(cluster, "cluster") },
    faults: listOf(faults, "faults", NOTICES_MAX).map(configFault),
  };
}

function configFault(value: unknown): FileFault {
  const { message, origin: at, remedy, unresolved } = record(value, "fault");
  return {
    message: text(message, "message"),
    ...at !== undefined && { origin: origin(at) },
    remedy: listOf(remedy, "remedy", NOTICES_MAX).map(origin),
    ...unresolved !== undefined && { unresolved: text(unresolved, "unresolved") },
  };
}

function origin(value: unknown): Origin {
  const { cluster, path: at, from } = record(value, "origin");
  return {
    ...cluster !== undefined && { cluster: exactText(cluster, "cluster") },
    path: path(at),
    ...from === "file" && { from },
  };
}

function path(value: unknown): readonly (string | number)[] {
  return listOf(value, "path", PATH_LENGTH_MAX).map((part) =>
    typeof part === "number" ? integer(part, "path", 0, 2 ** 31) : exactText(part, "path")
  );
}

/** A single command of a line: a line break or a semicolon would make it two. */
function command(value: unknown, key: string): string {
  const line = exactText(value, key);
  if (line === "" || line.includes(";")) {
    throw new InvalidMessage(`${key} must be one command, without a semicolon; received ${quote(line)}`);
  }
  return line;
}

/**
 * A regular expression that matches in linear time: the host evaluates it, and a plugin's expression
 * could otherwise block it for ever. So it has no groups, no alternatives, and at most one of `*`, `+`
 * and `?`.
 */
function pattern(value: unknown, key: string): string {
  const pattern = exactText(value, key);
  const plain = pattern.replaceAll(/\\./g, "a").replaceAll(/\[[^\]]*\]/g, "a");
  const isQuick = !/[()|{}]/.test(plain) && (plain.match(/[*+?]/g) ?? []).length <= 1;
  if (!isQuick) {
    throw new InvalidMessage(
      `${key} must have no groups, alternatives or counts, and at most one of * + ?; received ${quote(pattern)}`,
    );
  }
  try {
    new RegExp(`^(?:${pattern})$`);
  } catch {
    throw new InvalidMessage(`${key} must be a regular expression; received ${quote(pattern)}`);
  }
  return pattern;
}

function argv(value: unknown): readonly string[] {
  const all = listOf(value, "run", ARGUMENTS_MAX).map((argument) => exactText(argument, "run"));
  if (all.length === 0) throw new InvalidMessage('"run" must name a program');
  return all;
}

function reason(value: unknown): string {
  const why = text(value, "reason").trim();
  if (why === "") throw new InvalidMessage("A start or a reload must have a reason");
  return why;
}

function fileText(value: unknown): string {
  if (typeof value !== "string" || value.length > FILE_LENGTH_MAX) {
    const is = typeof value === "string" ? `received ${value.length}` : `received ${quote(value)}`;
    throw new InvalidMessage(`A config file must be a string of at most ${FILE_LENGTH_MAX} characters; ${is}`);
  }
  return value;
}

/** Validates the entries of a map, which JSON has as a list of pairs. */
function entriesOf(value: unknown, key: string, sizeMax: number): readonly (readonly [unknown, unknown])[] {
  if (!Array.isArray(value)) throw new InvalidMessage(`${key} must be a Map; received ${quote(value)}`);
  return listOf(value, key, sizeMax).map((pair) => {
    const [name, entry] = listOf(pair, key, 2);
    return [name, entry];
  });
}

function integer(value: unknown, key: string, least: number, most: number): number {
  const found = within(value, key, least, most);
  if (!Number.isInteger(found)) throw new InvalidMessage(`${key} must be an integer; received ${quote(value)}`);
  return found;
}

function within(value: unknown, key: string, least: number, most: number): number {
  const found = number(value, key);
  if (found < least || found > most) {
    throw new InvalidMessage(`${key} must be from ${least} to ${most}; received ${found}`);
  }
  return found;
}
