import type { RawNode } from "../cluster_reader.ts";

/** What etcd has below a path. */
export interface StoreFacts {
  /** Values, by the part of their key after the path. */
  readonly entries: Iterable<readonly [name: string, node: RawNode]>;
  readonly exists: boolean;
  /** Changes when the history of the data is unknown. */
  readonly epoch: string;
}

/** What another session has stored. */
export interface Others {
  readonly value: Uint8Array;
  /** Its owner, for the log. */
  readonly owner: string;
}

/** How a key is put. */
export interface PutOptions {
  readonly signal: AbortSignal;
  /** Whether a key of its own may mark the directory of this one as existing. */
  readonly mayMark: boolean;
}

/** etcd as a registry needs it, with either of its APIs. Failed requests throw. */
export interface Store {
  /**
   * Yields what is below a path, which ends with a slash, and again after each change; starts with a fresh
   * read.
   */
  follow(path: string, signal: AbortSignal): AsyncIterable<StoreFacts>;
  /** Whether this session holds no key. */
  readonly isEmpty: boolean;
  /** Sets a key, whoever had it, for as long as the session lasts; returns what another session had there. */
  put(key: string, value: Uint8Array, options: PutOptions): Promise<Others | undefined>;
  /** Deletes a key, whoever has it. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  /** Deletes a key if this session has it; returns the other owner. */
  release(key: string, signal: AbortSignal): Promise<Others | undefined>;
  /** Renews what this session holds, and puts missing keys again. */
  renew(signal: AbortSignal): Promise<void>;
  /** Makes a small request, to see whether etcd answers. */
  ping(signal: AbortSignal): Promise<void>;
  /** Compares what is followed with the store. */
  audit(signal: AbortSignal): Promise<void>;
  /** Deletes all that this session holds. */
  end(signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is followed any more, once the session's signal is aborted. */
  ended(): Promise<void>;
}
