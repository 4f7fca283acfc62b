/** An error as data: structured clone loses an own class, its name and its fields. */
export interface WireError {
  /** The class name. */
  readonly name: string;
  /** The message. */
  readonly message: string;
}

/** The most characters of an error's message that cross the wire. */
const MESSAGE_LENGTH_MAX = 2_000;
/** The most characters of an error's name that cross the wire. */
const NAME_LENGTH_MAX = 100;

/** Of several errors in one, no more are told. */
const PARTS_MAX = 5;

/**
 * Makes an error fit for the wire; anything else that was thrown becomes one.
 * Never throws, whatever a plugin made of its errors.
 */
export function toWireError(error: unknown): WireError {
  try {
    if (!(error instanceof Error)) return wireError("NonError", String(error));
    // Of several errors, as when no address of a name answers, the whole often says nothing.
    const parts = error instanceof AggregateError ? error.errors.slice(0, PARTS_MAX).map(messageOf) : [];
    const message = [error.message, ...parts].filter((part) => part !== "").join("; ");
    return wireError(String(error.name), message === "" ? String(error.name) : message);
  } catch {
    return wireError("NonError", "An error that cannot be told");
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? String(error.message) : String(error);
}

function wireError(name: string, message: string): WireError {
  return { name: name.slice(0, NAME_LENGTH_MAX), message: message.slice(0, MESSAGE_LENGTH_MAX) };
}

/** Raised on the host for an error that happened in a worker. */
export class WorkerError extends Error {
  override name = "WorkerError";

  /** The class name that the error had in the worker. */
  readonly kind: string;

  constructor(error: WireError) {
    super(error.message);
    this.kind = error.name;
  }
}
