/**
 * The form in which a worker's messages cross to the host: one string of JSON
 * each, in which nothing is that the host would have to walk, keep or close
 * before it may look at it. No holes, maps, typed arrays,
 * streams or ports can arrive, and how long a message is tells what it costs.
 *
 * @module
 */
import { InvalidMessage } from "./values.ts";

/** No message is longer, in UTF-16 units; one of this length keeps the host busy for some 40 ms. */
export const MESSAGE_LENGTH_MAX = 2 * 1024 * 1024;
/** No answer of a balancer's plugin, and of the parser, is longer: a whole config file may be in it. */
export const ANSWER_LENGTH_MAX = 20 * 1024 * 1024;
/** A balancer's answer besides the texts of its files is no longer: that is what takes the host time. */
export const STRUCTURE_LENGTH_MAX = 2 * 1024 * 1024;
/** A snapshot crosses in portions of about this length, a few milliseconds of the host's time each. */
export const PORTION_LENGTH = 64 * 1024;
/** So many portions of snapshots may be on their way: the next waits until the host has taken one. */
export const PORTIONS_AHEAD_MAX = 2;
/** All portions of one snapshot together are no longer. */
export const SNAPSHOT_LENGTH_MAX = 32 * 1024 * 1024;
/** Log records in one second above which a worker keeps the rest to itself, and tells how many they were. */
export const LOG_RECORDS_PER_SECOND = 50;
/** All log records of one second together are no longer; the rest is dropped in the same way. */
export const LOG_LENGTH_PER_SECOND = 128 * 1024;

/**
 * Reads what a worker sent. Throws an `InvalidMessage` for what is no string, is too
 * long, or is no JSON.
 */
export function decode(data: unknown, lengthMax: number): unknown {
  if (typeof data !== "string") throw new InvalidMessage("A message must be a string of JSON");
  if (data.length > lengthMax) {
    throw new InvalidMessage(`A message must have at most ${lengthMax} characters: it has ${data.length}`);
  }
  try {
    return JSON.parse(data);
  } catch {
    throw new InvalidMessage("A message must be a string of JSON");
  }
}
