import type { OpenFiles } from "../system/open_files.ts";

/** Files that a worker has open of itself: six were measured; and the connection of its probe. */
const FILES_PER_WORKER = 8;
/** Workers that may be starting, and have not opened their files yet. */
const STARTING_MAX = 4;
/** Of the limit so much is left to the process itself: its config, the registry's file, HAProxy's socket, status. */
const RESERVED_SHARE = 0.2;
/** But no more than this. */
const RESERVED_MAX = 128;

/** Raised instead of starting a worker for which there are not enough open files: Deno would end the process. */
export class NoRoomError extends Error {
  override name = "NoRoomError";
}

/** Throws a {@linkcode NoRoomError} if one more worker could leave the process without open files. */
export function assertRoom(files: OpenFiles | undefined): void {
  if (files === undefined) return;
  const { open, limit } = files;
  const reserved = Math.min(RESERVED_MAX, Math.ceil(limit * RESERVED_SHARE));
  if (open + FILES_PER_WORKER * STARTING_MAX + reserved <= limit) return;
  throw new NoRoomError(
    `Cannot start another worker: ${open} of ${limit} open files are in use, and each worker takes ${FILES_PER_WORKER}. ` +
      "Raise LimitNOFILE (ulimit -n), or set isolation: shared in lighthouse.yaml",
  );
}

/** How many connections and files a plugin that does not ship may have open at once, under a limit of the process. */
export function openMax(files: OpenFiles | undefined, isDiscovery: boolean): number {
  if (files === undefined || files.limit === Infinity) return isDiscovery ? 4_096 : 128;
  // One that watches over HTTP may hold a connection for each cluster.
  return isDiscovery
    ? Math.min(4_096, Math.max(64, Math.floor(files.limit / 4)))
    : Math.min(128, Math.max(16, Math.floor(files.limit / 32)));
}
