import type { RawNode } from "../cluster_reader.ts";

/** What etcd has below a path. */
export interface StoreFacts {
  /** What is stored, by what follows the path in its key. */
  readonly entries: Iterable<readonly [name: string, node: RawNode]>;
  readonly exists: boolean;
  /** Changes when the past of what etcd has is unknown. */
  readonly epoch: string;
}

/** What another session has stored. */
export interface Others {
  readonly value: Uint8Array;
  /** Whose it is, for the log. */
  readonly owner: string;
}

/** How a key is put. */
export interface PutOptions {
  readonly signal: AbortSignal;
  /** Whether a key of its own may say that the directory of this one exists. */
  readonly mayMark: boolean;
}

/** etcd as a registry needs it, whichever of its APIs is spoken. What cannot be asked throws. */
export interface Store {
  /** Yields what there is below a path, which ends with a slash, and again after each change; starts with a fresh read. */
  follow(path: string, signal: AbortSignal): AsyncIterable<StoreFacts>;
  /** Whether this session holds no key. */
  readonly isEmpty: boolean;
  /** Gives a key a value, whoever had it, for as long as the session lasts; answers what another session had there. */
  put(key: string, value: Uint8Array, options: PutOptions): Promise<Others | undefined>;
  /** Deletes a key, whoever has it. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  /** Deletes a key if this session has it; answers the other that has it. */
  release(key: string, signal: AbortSignal): Promise<Others | undefined>;
  /** Keeps alive what this session holds, and puts again what is missing of it. */
  renew(signal: AbortSignal): Promise<void>;
  /** Asks for something small, to see whether etcd answers. */
  ping(signal: AbortSignal): Promise<void>;
  /** Compares what is followed with what there is. */
  audit(signal: AbortSignal): Promise<void>;
  /** Deletes all that this session holds. */
  end(signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is followed any more, once the session's signal is aborted. */
  ended(): Promise<void>;
}
