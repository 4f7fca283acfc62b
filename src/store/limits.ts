/** Limits on what a store accepts. */
export interface Limits {
  /** The body of a request. */
  readonly bodyBytesMax: number;
  /** The canonical JSON of the whole document. */
  readonly documentBytesMax: number;
  /** Levels of objects and arrays in the document. */
  readonly depthMax: number;
  /** Requests that wait for a change at the same time. */
  readonly watchersMax: number;
  /** Of these, requests with the same token, where tokens are used. */
  readonly watchersOfTokenMax: number;
}

/** The default limits. */
export const LIMITS: Limits = {
  bodyBytesMax: 16 * 1024 * 1024,
  documentBytesMax: 256 * 1024 * 1024,
  depthMax: 100,
  watchersMax: 10_000,
  watchersOfTokenMax: 5_000,
};
