import { quote } from "../kernel/quote.ts";

/** An error as data: structured clone loses the class, its name and its fields. */
export interface WireError {
  /** The class name. */
  readonly name: string;
  /** The message, with those of its causes. */
  readonly message: string;
}

/** Maximum length of an error's message on the wire. */
const MESSAGE_LENGTH_MAX = 2_000;
/** Maximum length of an error's name on the wire. */
const NAME_LENGTH_MAX = 100;

/** Maximum number of joined errors, and of nested causes, that are reported. */
const PARTS_MAX = 5;

/** Converts a thrown value to data for the wire. Never throws, whatever a plugin made of its errors. */
export function toWireError(error: unknown): WireError {
  try {
    if (!(error instanceof Error)) return wireError("NonError", nonErrorText(error));
    const message = messageOf(error);
    return wireError(String(error.name), message === "" ? String(error.name) : message);
  } catch {
    return wireError("NonError", "error without a readable message");
  }
}

/**
 * Formats an error on one line, as {@linkcode toWireError} reports it: `TypeError: fetch failed:
 * connection refused`.
 */
export function errorText(error: unknown): string {
  const { name, message } = toWireError(error);
  return name === "NonError" || name === message ? message : `${name}: ${message}`;
}

/**
 * The message of an error, of the errors that it joins, and of its causes: the outermost often says
 * nothing, as with `fetch failed`, or when no address of a name answers.
 */
function messageOf(error: Error): string {
  const joined = error instanceof AggregateError ? error.errors.slice(0, PARTS_MAX).map(own) : [];
  const parts = [[error.message, ...joined].filter((part) => part !== "").join("; ")];
  let cause = error.cause;
  for (let i = 0; i < PARTS_MAX && cause !== undefined && cause !== null; i++) {
    const said = own(cause);
    // Many errors include the message of their cause already.
    if (said !== "" && !parts.some((part) => part.includes(said))) parts.push(said);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return parts.filter((part) => part !== "").join(": ");
}

function own(error: unknown): string {
  return (error instanceof Error ? String(error.message) : nonErrorText(error)).slice(0, MESSAGE_LENGTH_MAX);
}

/**
 * Describes a thrown value that is not an error. An object is quoted: as a string, 50 MB of bytes
 * would be 100 million characters.
 */
function nonErrorText(error: unknown): string {
  return typeof error === "object" && error !== null ? quote(error) : String(error);
}

function wireError(name: string, message: string): WireError {
  return { name: name.slice(0, NAME_LENGTH_MAX), message: message.slice(0, MESSAGE_LENGTH_MAX) };
}

/** Thrown on the host for an error that occurred in a worker. */
export class WorkerError extends Error {
  override name = "WorkerError";

  /** The name of the error's class in the worker. */
  readonly kind: string;

  constructor(error: WireError) {
    super(error.message);
    this.kind = error.name;
  }
}
