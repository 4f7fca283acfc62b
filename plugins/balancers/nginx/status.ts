/**
 * What nginx reports on the status socket.
 *
 * @module
 */

import type { BalancerCounters } from "../../../mod.ts";

/** The path at which nginx answers the pid of the worker and the hash of the config that it serves. */
export const STATUS_PATH = "/lighthouse";

/** The path of nginx's counters. */
export const STUB_STATUS_PATH = "/stub_status";

/** An answer at {@linkcode STATUS_PATH}. */
export interface Status {
  /** The worker that answered. */
  readonly pid: number;
  /** The hash of the config that it serves. */
  readonly hash: string;
}

/** Parses an answer at {@linkcode STATUS_PATH}; `undefined` if it is invalid. */
export function parseStatus(answer: string): Status | undefined {
  const [, pid, hash] = /^([1-9][0-9]{0,9}) ([0-9a-f]{16})$/.exec(answer.trim()) ?? [];
  return pid === undefined || hash === undefined ? undefined : { pid: Number(pid), hash };
}

/** Parses an answer at {@linkcode STUB_STATUS_PATH}; `undefined` if it is invalid. */
export function parseCounters(answer: string): BalancerCounters | undefined {
  const match = STUB_STATUS.exec(answer);
  if (match === null) return undefined;
  const [active = 0, accepted = 0, handled = 0, requests = 0, reading = 0, writing = 0, waiting = 0] = match.slice(1)
    .map(Number);
  return { accepted, handled, requests, open: { active, reading, writing, waiting } };
}

const STUB_STATUS =
  /^Active connections: ([0-9]+)\s+server accepts handled requests\s+([0-9]+) ([0-9]+) ([0-9]+)\s+Reading: ([0-9]+) Writing: ([0-9]+) Waiting: ([0-9]+)/;

/** Finds the hash in a file that was rendered here. */
export function hashIn(file: string): string | undefined {
  return /return 200 "\$pid ([0-9a-f]{16})\\n";/.exec(file)?.[1];
}

/**
 * Hashes a text into 64 bits, as 16 hexadecimal digits (FNV-1a in two lanes). Functions of a balancer are
 * synchronous, and nobody gains by a collision: an attacker who could write the config would not need one.
 */
export function hashOf(text: string): string {
  const lanes = [0x01000193, 0x85ebca77].map((prime) => {
    let hash = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), prime);
    hash ^= hash >>> 16;
    hash = Math.imul(hash, 0xc2b2ae3d);
    return ((hash ^ hash >>> 13) >>> 0).toString(16).padStart(8, "0");
  });
  return lanes.join("");
}
