import { isWithin, parsePath, type Path } from "./path.ts";

/** Who asks, and what they may do. */
export interface Identity {
  /** The name of the token; not there where no tokens are asked for. */
  readonly name: string | undefined;
  /** Whether the value at the path, with all in it, may be read. */
  mayRead(path: Path): boolean;
  /** Whether the value at the path may be changed. */
  mayWrite(path: Path): boolean;
  /** Whether anything at all may be changed. */
  readonly isWriter: boolean;
}

/** Who asks where no tokens are asked for. */
export const ANYONE: Identity = { name: undefined, mayRead: () => true, mayWrite: () => true, isWriter: true };

/** What a token grants: paths as they stand in a URL behind `/data`; what may be written may be read too. */
export interface Grant {
  readonly name: string;
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** Makes an identity of what a token grants. */
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
