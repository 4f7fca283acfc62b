/** An error as data: structured clone loses an own class, its name and its fields. */
export interface WireError {
  /** The class name. */
  readonly name: string;
  /** The message. */
  readonly message: string;
}

/** The most characters of an error's message that cross the wire. */
const MESSAGE_LENGTH_MAX = 2_000;

/** Makes an error fit for the wire; anything else that was thrown becomes one. */
export function toWireError(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: "NonError", message: String(error).slice(0, MESSAGE_LENGTH_MAX) };
  return { name: error.name, message: error.message.slice(0, MESSAGE_LENGTH_MAX) };
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
