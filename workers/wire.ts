/**
 * A worker's end of the wire to its host. A plugin shares this realm and may
 * change anything in it, so all primitives for sending are captured before the plugin's
 * first line, and the port is never passed to anything that a plugin could have
 * replaced: a plugin's messages go through here, within the
 * limits, or not at all.
 *
 * @module
 */
import type { Answer, ToHost } from "../src/protocol/messages.ts";
import { isRecord } from "../src/model/node.ts";
import { encodeBalancerAnswer, filesLength } from "../src/protocol/functions.ts";
import {
  ANSWER_LENGTH_MAX,
  LOG_LENGTH_PER_SECOND,
  LOG_RECORDS_PER_SECOND,
  MESSAGE_LENGTH_MAX,
  PORTIONS_AHEAD_MAX,
  STRUCTURE_LENGTH_MAX,
} from "../src/protocol/wire.ts";
import { InvalidMessage, outcome, permissions, plain, shorten, TEXT_LENGTH_MAX } from "../src/protocol/values.ts";
import { errorText, toWireError } from "../src/protocol/wire_error.ts";

const { stringify } = JSON;
const { floor } = Math;
const now = performance.now.bind(performance);
const postMessage = Function.prototype.call.bind(MessagePort.prototype.postMessage) as (
  port: MessagePort,
  text: string,
) => void;
const close = self.close.bind(self);

/** The last message, sent in place of one that is too long. */
const TOO_LONG =
  `{"type":"broken","error":{"name":"InvalidMessage","message":"A message must have at most ${MESSAGE_LENGTH_MAX} characters"}}`;

/** Sends a worker's messages to the host. */
export class Wire {
  readonly #port: MessagePort;
  /** The portions of each snapshot, each a whole message. */
  readonly #snapshots: string[][] = [];
  #ahead = 0;
  #log = { second: 0, records: 0, length: 0, dropped: 0 };
  /** The current state of the connection, to be sent. */
  #connection: string | undefined;
  #isConnectionAhead = false;
  #isOver = false;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** Sends a message of fixed size. */
  say(
    message: Exclude<
      ToHost,
      { type: "broken" | "snapshot" | "change" | "nodes" | "keys" | "connection" | "log" | "dropped" }
    >,
  ): void {
    this.#tellDropped();
    this.#post(stringify(message));
  }

  /** Reports that the worker is unusable, once, and closes it: it stops here, as the host cannot stop a loop. */
  end(error: unknown): void {
    if (this.#isOver) return;
    this.#post(stringify({ type: "broken", error: toWireError(error) }));
    this.#isOver = true;
    close();
  }

  /** Answers a request; throws an `InvalidMessage` for an answer that is too large or not data. */
  answer(answer: Answer, seq: number): void {
    this.#tellDropped();
    const [value, lengthMax] = encode(answer);
    const text = stringify({ ...value, seq });
    if (text.length > lengthMax) {
      throw new InvalidMessage(
        `A response must have at most ${lengthMax} characters of JSON; received ${text.length}`,
      );
    }
    this.#post(text, lengthMax);
  }

  /** Writes a log record; beyond 50 per second, or 128 KiB, only their number is sent. */
  log(instance: string, level: "debug" | "info" | "warn", message: unknown, properties: unknown = {}): void {
    this.#tellDropped();
    if (++this.#log.records > LOG_RECORDS_PER_SECOND) return void this.#log.dropped++;
    const text = typeof message === "string" ? message.slice(0, TEXT_LENGTH_MAX) : errorText(message);
    const record = { type: "log", instance, level, message: text, properties: shorten(properties) };
    const line = stringify(record);
    this.#log.length += line.length;
    if (this.#log.length > LOG_LENGTH_PER_SECOND) this.#log.dropped++;
    else this.#post(line);
  }

  /** Reports whether the registry is reachable: the newest state is always sent, states in between are not. */
  connection(state: "connected" | "disconnected", detail: unknown = ""): void {
    if (state !== "connected" && state !== "disconnected") {
      throw new TypeError(`Unknown connection state ${stringify(state)}: must be connected or disconnected`);
    }
    const text = typeof detail === "string" ? detail.slice(0, TEXT_LENGTH_MAX) : errorText(detail);
    this.#connection = stringify({ type: "connection", state, detail: text });
    this.#sendConnection();
  }

  /** The host has processed the state of the connection. */
  heard(): void {
    this.#isConnectionAhead = false;
    this.#sendConnection();
  }

  /** Sends one cluster's membership, in portions at the host's pace. */
  snapshot(portions: string[]): void {
    this.#snapshots.push(portions);
    this.#sendPortions();
  }

  /** The host has processed a portion. */
  more(): void {
    this.#ahead--;
    this.#sendPortions();
  }

  #sendConnection(): void {
    const text = this.#connection;
    if (text === undefined || this.#isConnectionAhead) return;
    this.#connection = undefined;
    this.#isConnectionAhead = true;
    this.#post(text);
  }

  #sendPortions(): void {
    while (this.#ahead < PORTIONS_AHEAD_MAX) {
      const next = this.#snapshots[0]?.shift();
      if (next === undefined) return;
      if (this.#snapshots[0]?.length === 0) this.#snapshots.shift();
      this.#ahead++;
      this.#post(next);
    }
  }

  /** Starts a new second of the log, and reports how many records of the last were dropped. */
  #tellDropped(): void {
    const second = floor(now() / 1_000);
    if (this.#log.second === second) return;
    const { dropped } = this.#log;
    this.#log = { second, records: 0, length: 0, dropped: 0 };
    if (dropped > 0) this.#post(stringify({ type: "dropped", records: dropped }));
  }

  /** Sends a string, unless it exceeds the limit: a plugin can change how an object becomes JSON. */
  #post(text: string, lengthMax = MESSAGE_LENGTH_MAX): void {
    if (this.#isOver) return;
    if (text.length <= lengthMax) return postMessage(this.#port, text);
    postMessage(this.#port, TOO_LONG);
    this.#isOver = true;
    close();
  }
}

/** Keeps of an answer what the host accepts, so that a fault shows here, in the plugin's own time. */
function encode(answer: Answer): readonly [object, lengthMax: number] {
  switch (answer.type) {
    case "outcome":
      return [{ ...answer, outcome: outcome(shortTexts(answer.outcome)) }, MESSAGE_LENGTH_MAX];
    case "introduced": {
      const { example, ...rest } = answer.introduction;
      return [{ ...answer, introduction: { ...rest, example: plain(example) } }, MESSAGE_LENGTH_MAX];
    }
    case "described": {
      const { config, permissions: wanted } = answer;
      return [{ ...answer, config: plain(config), permissions: permissions(wanted) }, MESSAGE_LENGTH_MAX];
    }
    case "valid":
      return [{ ...answer, config: plain(answer.config) }, MESSAGE_LENGTH_MAX];
    case "decided": {
      const decision = encodeBalancerAnswer(answer.decision);
      const files = filesLength(answer.decision);
      return [{ ...answer, decision }, Math.min(ANSWER_LENGTH_MAX, STRUCTURE_LENGTH_MAX + files * 2)];
    }
    case "parsed":
      return [answer, ANSWER_LENGTH_MAX];
    default:
      return [answer, MESSAGE_LENGTH_MAX];
  }
}

/** Converts the reason of an outcome, if it is an error or not a string. */
function shortTexts(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const { status, reason, detail } = value;
  const toText = (said: unknown) => said === undefined || typeof said === "string" ? said : errorText(said);
  return {
    status,
    reason: status === "fail" || status === "unknown" ? toText(reason) ?? "no reason given" : undefined,
    detail: toText(detail),
  };
}
