/** Time limits for clients, and the number of connections. */
export interface HttpLimits {
  /** Maximum number of connections. */
  readonly connectionsMax: number;
  /** Timeout of the TLS handshake. */
  readonly handshakeMs: number;
  /** Timeout of a request head, from the connect or its first byte. */
  readonly headMs: number;
  /** Timeout of a whole body. */
  readonly bodyMs: number;
  /** Longest pause within a body, or within the client's reading of an answer. */
  readonly stallMs: number;
  /** Timeout of an idle connection. */
  readonly idleMs: number;
}

/** The defaults; a request that waits for its answer has no limit here. */
export const HTTP_LIMITS: Omit<HttpLimits, "connectionsMax"> = {
  handshakeMs: 10_000,
  headMs: 10_000,
  bodyMs: 300_000,
  stallMs: 60_000,
  idleMs: 120_000,
};

/** The assumed limit of open files where the system reports none. */
const OPEN_FILES_ASSUMED = 1_024;

/** Derives the number of connections from the limit of open files. Pure. */
export function connectionsFor(
  openFilesMax: number | undefined,
  { share, most }: {
    /** The share of the open files that connections may use. */
    readonly share: number;
    /** Upper bound. */
    readonly most: number;
  },
): number {
  return Math.max(8, Math.min(most, Math.floor(share * (openFilesMax ?? OPEN_FILES_ASSUMED))));
}
