/** Why a request is rejected, in the words of the protocol. */
export type RefusalReason =
  | "Bad Request"
  | "Unauthorized"
  | "Forbidden"
  | "Not Found"
  | "Locked"
  | "Not Locked"
  | "Invalid Lock Code"
  | "Concurrent Update"
  | "Method Not Allowed"
  | "Content Too Large"
  | "Misdirected Request"
  | "Internal Server Error"
  | "Service Unavailable";

/** A rejected request: an expected answer. */
export class Refusal {
  readonly reason: RefusalReason;
  /** What was attempted, with which value, and what is wanted. */
  readonly message: string;

  constructor(reason: RefusalReason, message: string) {
    this.reason = reason;
    this.message = message;
  }
}
