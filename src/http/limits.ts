/** How long a listener waits for a client, and how many connections it has. */
export interface HttpLimits {
  /** Connections at the same time. */
  readonly connectionsMax: number;
  /** A TLS handshake takes no longer. */
  readonly handshakeMs: number;
  /** The head of a request takes no longer, from the connect or its first byte. */
  readonly headMs: number;
  /** A whole body takes no longer. */
  readonly bodyMs: number;
  /** Between two pieces of a body, or of an answer that the client takes, there is no longer pause. */
  readonly stallMs: number;
  /** A connection without a request is kept no longer. */
  readonly idleMs: number;
}

/** What is usual; a request that waits for its answer is not limited here. */
export const HTTP_LIMITS: Omit<HttpLimits, "connectionsMax"> = {
  handshakeMs: 10_000,
  headMs: 10_000,
  bodyMs: 300_000,
  stallMs: 60_000,
  idleMs: 120_000,
};

/** The limit of open files that is assumed where the system does not say. */
const OPEN_FILES_ASSUMED = 1_024;

/** Derives how many connections a listener has from the open files that the process may have. Pure. */
export function connectionsFor(
  openFilesMax: number | undefined,
  { share, most }: {
    /** Which part of the open files may be connections. */
    readonly share: number;
    /** It is never more. */
    readonly most: number;
  },
): number {
  return Math.max(8, Math.min(most, Math.floor(share * (openFilesMax ?? OPEN_FILES_ASSUMED))));
}
