/**
 * Validates messages of a worker: shape, sizes and
 * values. A plugin runs there, and a plugin is untrusted.
 *
 * @module
 */
import { isRecord, quote } from "../model/node.ts";
import type { ClusterFacts, ClusterSnapshot } from "../model/topology.ts";
import type { SchemaIssue } from "../plugin/contract.ts";
import {
  InvalidMessage,
  keysOf,
  LIST_LENGTH_MAX,
  listOf,
  NODES_MAX,
  nodesOf,
  number,
  outcome,
  permissions,
  plain,
  portionOf,
  record,
  shorten,
  text,
} from "./values.ts";
import { type BalancerAnswer, CAPABILITIES, takeBalancerAnswer } from "./functions.ts";
import type { ModuleImport, ParsedModule } from "../plugin/graph.ts";
import type { Answer, Introduction, ToHost } from "./messages.ts";
import type { DiscoveryTraits } from "../plugin/instance.ts";
import type { WireError } from "./wire_error.ts";

/** Maximum length of a module's code, in UTF-16 units. */
const CODE_LENGTH_MAX = 4 * 1024 * 1024;

/** Longest lease: for this long a loss may be held after the epoch of a registry has changed. */
export const LEASE_MAX_MS = 3_600_000;

/** Result of {@linkcode validate}: the valid parts of the message, or its fault. */
export type Validated =
  | { readonly ok: true; readonly message: ToHost; readonly refused: readonly string[] }
  | { readonly ok: false; readonly fault: string };

/**
 * Validates one message of a worker. An unknown shape is a fault of the worker. An invalid node in a
 * snapshot is left out and named in `refused`. Never throws: an uncaught error here would end the
 * process.
 */
export function validate(data: unknown): Validated {
  const refused: string[] = [];
  try {
    return { ok: true, message: parse(data, refused), refused };
  } catch (error) {
    return {
      ok: false,
      fault: error instanceof InvalidMessage ? error.message : `Unreadable message: ${String(error)}`,
    };
  }
}

function parse(data: unknown, refused: string[]): ToHost {
  if (!isRecord(data)) throw new InvalidMessage(`A message must be an object; received ${quote(data)}`);
  switch (data.type) {
    case "loaded":
      return {
        type: "loaded",
        kind: text(data.kind, "kind"),
        apiVersion: number(data.apiVersion, "apiVersion"),
        name: text(data.name, "name"),
      };
    case "broken":
      return { type: "broken", error: wireError(data.error) };
    case "snapshot":
      return {
        type: "snapshot",
        snapshot: snapshot(data.snapshot, refused),
        ...data.number !== undefined && { number: number(data.number, "number") },
      };
    case "change":
      return {
        type: "change",
        cluster: text(data.cluster, "cluster"),
        number: number(data.number, "number"),
        base: number(data.base, "base"),
        added: nodesOf(data.added, refused),
        removed: listOf(data.removed, "removed", NODES_MAX).map((name) => text(name, "removed")),
        isSameRefused: data.isSameRefused === true,
        ...facts(data),
      };
    case "nodes":
      return { type: "nodes", cluster: text(data.cluster, "cluster"), nodes: portionOf(data.nodes, refused) };
    case "lost":
      return { type: "lost", cluster: text(data.cluster, "cluster"), error: wireError(data.error) };
    case "keys": {
      const { exists, epoch } = facts(data);
      return { type: "keys", stream: number(data.stream, "stream"), entries: keysOf(data.entries), exists, epoch };
    }
    case "keysLost":
      return { type: "keysLost", stream: number(data.stream, "stream"), error: wireError(data.error) };
    case "ended":
      return { type: "ended", reason: text(data.reason, "reason") };
    case "connection":
      if (data.state !== "connected" && data.state !== "disconnected") {
        throw new InvalidMessage(`Unknown connection state: ${quote(data.state)}`);
      }
      return { type: "connection", state: data.state, detail: text(data.detail, "detail") };
    case "log": {
      const { level, properties } = data;
      if (level !== "debug" && level !== "info" && level !== "warn") {
        throw new InvalidMessage(`Unknown log level: ${quote(level)}`);
      }
      return {
        type: "log",
        instance: text(data.instance, "instance"),
        level,
        message: text(data.message, "message"),
        properties: shorten(properties),
      };
    }
    case "dropped":
      return { type: "dropped", records: number(data.records, "records") };
    case "stopped":
      return { type: "stopped" };
    default:
      return { ...answer(data), seq: number(data.seq, "seq") };
  }
}

function answer(data: Record<string, unknown>): Answer {
  switch (data.type) {
    case "pong":
      return { type: "pong", ...data.open !== undefined && { open: number(data.open, "open") } };
    case "ack":
      return { type: "ack", ...data.takenFrom !== undefined && { takenFrom: text(data.takenFrom, "takenFrom") } };
    case "nack":
      return { type: "nack", error: wireError(data.error) };
    case "outcome":
      return { type: "outcome", outcome: outcome(data.outcome), tookMs: number(data.tookMs, "tookMs") };
    case "introduced":
      return { type: "introduced", introduction: introduction(data.introduction) };
    case "parsed":
      return { type: "parsed", parsed: parsedModule(data.parsed) };
    case "described":
      return {
        type: "described",
        config: plain(data.config),
        permissions: permissions(data.permissions),
        ...data.traits !== undefined && { traits: traits(data.traits) },
      };
    case "valid":
      return { type: "valid", config: plain(data.config) };
    case "decided":
      return { type: "decided", decision: balancerAnswer(data.decision) };
    case "invalid":
      return { type: "invalid", issues: listOf(data.issues, "issues", LIST_LENGTH_MAX).map(issue) };
    default:
      throw new InvalidMessage(`Unknown message type: ${quote(data.type)}`);
  }
}

function traits(value: unknown): DiscoveryTraits {
  const said = record(value, "traits");
  const among = <T extends string>(key: "capabilities" | "sections", known: readonly T[]) => {
    const words = listOf(said[key], key, known.length);
    const unknown = words.find((word) => !known.some((each) => each === word));
    if (unknown !== undefined) throw new InvalidMessage(`Unknown value in ${key}: ${quote(unknown)}`);
    return known.filter((word) => words.includes(word));
  };
  return {
    capabilities: among("capabilities", CAPABILITIES),
    sections: among("sections", ["cluster", "service"]),
  };
}

function balancerAnswer(value: unknown): BalancerAnswer {
  const answer = record(value, "decision");
  const taken = takeBalancerAnswer(answer);
  if (taken === undefined) throw new InvalidMessage(`Unknown decision kind: ${quote(answer.ask)}`);
  return taken;
}

function introduction(value: unknown): Introduction {
  if (!isRecord(value)) throw new InvalidMessage("An introduction must be an object");
  return {
    kind: text(value.kind, "kind"),
    apiVersion: number(value.apiVersion, "apiVersion"),
    name: text(value.name, "name"),
    summary: text(value.summary, "summary"),
    stability: text(value.stability, "stability"),
    ...value.example === undefined ? {} : { example: plain(value.example) },
  };
}

function parsedModule(value: unknown): ParsedModule {
  if (!isRecord(value) || typeof value.code !== "string" || value.code.length > CODE_LENGTH_MAX) {
    throw new InvalidMessage(`A parsed module must be an object with code of at most ${CODE_LENGTH_MAX} characters`);
  }
  return { code: value.code, imports: listOf(value.imports, "imports", LIST_LENGTH_MAX).map(moduleImport) };
}

function moduleImport(value: unknown): ModuleImport {
  if (!isRecord(value)) throw new InvalidMessage("An import must be an object");
  return {
    specifier: text(value.specifier, "specifier"),
    start: number(value.start, "start"),
    end: number(value.end, "end"),
    line: number(value.line, "line"),
    column: number(value.column, "column"),
  };
}

function snapshot(value: unknown, refused: string[]): ClusterSnapshot {
  if (!isRecord(value)) throw new InvalidMessage("A snapshot must be an object");
  const cluster = text(value.cluster, "cluster");
  return { cluster, nodes: nodesOf(value.nodes, refused), ...facts(value) };
}

/** Validates a registry's answer about a cluster, without its nodes. */
function facts({ exists, epoch, leaseMs }: Record<string, unknown>): Omit<ClusterFacts, "nodes"> {
  if (typeof exists !== "boolean") {
    throw new InvalidMessage(`exists must be true or false; received ${quote(exists)}`);
  }
  if (leaseMs === undefined) return { exists, epoch: text(epoch, "epoch") };
  const lease = number(leaseMs, "leaseMs");
  if (lease < 0 || lease > LEASE_MAX_MS) {
    throw new InvalidMessage(`leaseMs must be from 0 to ${LEASE_MAX_MS}; received ${quote(leaseMs)}`);
  }
  return { exists, epoch: text(epoch, "epoch"), leaseMs: lease };
}

function issue(value: unknown): SchemaIssue {
  if (!isRecord(value)) throw new InvalidMessage("An issue must be an object");
  const path = value.path === undefined ? [] : listOf(value.path, "path", 100);
  const parts = path.map((part) => typeof part === "number" ? part : text(part, "path"));
  const unknownKey = isRecord(value.unknownKey)
    ? { known: listOf(value.unknownKey.known, "known", LIST_LENGTH_MAX).map((key) => text(key, "known")) }
    : undefined;
  return { message: text(value.message, "message"), path: parts, unknownKey };
}

function wireError(value: unknown): WireError {
  if (!isRecord(value)) throw new InvalidMessage("An error must be an object");
  return { name: text(value.name, "name"), message: text(value.message, "message") };
}
