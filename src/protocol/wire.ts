/**
 * The form of a worker's messages to the host: one JSON string
 * each. A string contains nothing that the host would have to walk, keep or close
 * before it can check it: no holes, maps, typed arrays,
 * streams or ports can arrive. The length of a message determines its cost.
 *
 * @module
 */
import { InvalidMessage } from "./values.ts";

/** Maximum length of a message, in UTF-16 units; one of this length keeps the host busy for some 40 ms. */
export const MESSAGE_LENGTH_MAX = 2 * 1024 * 1024;
/** Maximum length of an answer of a balancer's plugin or of the parser: it may contain a whole config file. */
export const ANSWER_LENGTH_MAX = 20 * 1024 * 1024;
/** Maximum length of a balancer's answer without the texts of its files: that part takes the host's time. */
export const STRUCTURE_LENGTH_MAX = 2 * 1024 * 1024;
/** Approximate length of a portion of a snapshot: a few milliseconds of the host's time each. */
export const PORTION_LENGTH = 64 * 1024;
/** Maximum number of portions in flight: the next waits until the host has processed one. */
export const PORTIONS_AHEAD_MAX = 2;
/** Maximum length of all portions of one snapshot together. */
export const SNAPSHOT_LENGTH_MAX = 32 * 1024 * 1024;
/** Maximum number of log records per second; a worker drops the rest, and reports their number. */
export const LOG_RECORDS_PER_SECOND = 50;
/** Maximum length of all log records of one second together; the rest is dropped likewise. */
export const LOG_LENGTH_PER_SECOND = 128 * 1024;

/** Parses a worker's message. Throws an `InvalidMessage` if it is not a string, too long, or not JSON. */
export function decode(data: unknown, lengthMax: number): unknown {
  if (typeof data !== "string") throw new InvalidMessage("A message must be a string that contains JSON");
  if (data.length > lengthMax) {
    throw new InvalidMessage(`A message must have at most ${lengthMax} characters; received ${data.length}`);
  }
  try {
    return JSON.parse(data);
  } catch {
    throw new InvalidMessage("A message must be a string that contains JSON");
  }
}
