import { isWithin, parsePath, type Path } from "./path.ts";

/** An authenticated client and its rights. */
export interface Identity {
  /** The token's name; absent without tokens. */
  readonly name: string | undefined;
  /** Whether the value at the path, and all in it, may be read. */
  mayRead(path: Path): boolean;
  /** Whether the value at the path may be changed. */
  mayWrite(path: Path): boolean;
  /** Whether anything at all may be changed. */
  readonly isWriter: boolean;
}

/** The client when no tokens are used. */
export const ANYONE: Identity = { name: undefined, mayRead: () => true, mayWrite: () => true, isWriter: true };

/** The rights of a token: paths as behind `/data`; write includes read. */
export interface Grant {
  readonly name: string;
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** Makes an identity from a token's rights. */
export function identityOf({ name, read, write }: Grant): Identity {
  const writes = write.map((prefix) => parsePath(prefix) ?? []);
  const reads = [...read.map((prefix) => parsePath(prefix) ?? []), ...writes];
  return {
    name,
    mayRead: (path) => reads.some((prefix) => isWithin(path, prefix)),
    mayWrite: (path) => writes.some((prefix) => isWithin(path, prefix)),
    isWriter: writes.length > 0,
  };
}
