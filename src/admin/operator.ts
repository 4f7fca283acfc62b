import type { Orders } from "../model/override.ts";
import type { AdminCommand, ConnectionsQuery } from "./command.ts";

/** What came of a command. */
export type Result =
  | {
    readonly ok: true;
    /** What was done, a sentence to a line. */
    readonly did: readonly string[];
    /** What the operator should know beside. */
    readonly warnings: readonly string[];
  }
  | Rejection;

/** That a command was not carried out, with the HTTP status that says so. */
export interface Rejection {
  readonly ok: false;
  /**
   * `404`: there is no such thing. `409`: it needs `force`, or cannot be now. `501`: this process has no such part.
   * `504`: the host is too busy at present.
   */
  readonly status: 404 | 409 | 501 | 503 | 504;
  readonly reason: string;
}

/** How many established connections there are, by node. */
export interface Connections {
  readonly ok: true;
  readonly connections: Readonly<Record<string, number>>;
}

/** What the admin interface serves: the app, as an operator sees it. */
export interface Operator {
  /** What the process does. */
  readonly role: "writer" | "reporter" | "run";
  /** The config directory. */
  readonly dir: string;
  /** What operators have said, and that holds. */
  readonly orders: Orders;
  /** Why that does not outlive the process; `undefined` if it does. */
  readonly unkept: string | undefined;
  /** Carries a command out; resolves when it is in effect here, or `signal` is aborted. */
  carryOut(command: AdminCommand, signal: AbortSignal): Promise<Result>;
  /** Counts the established connections of nodes, as this host's kernel knows them. */
  connections(query: ConnectionsQuery): Promise<Connections | Rejection>;
}
