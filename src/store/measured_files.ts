import type { Clock } from "../kernel/clock.ts";
import type { Counts } from "./metrics.ts";
import type { SnapshotFiles } from "./snapshot_files.ts";

/** Snapshot files whose writing is counted and timed. */
export function measured(files: SnapshotFiles, counts: Counts, clock: Clock): SnapshotFiles {
  return {
    names: () => files.names(),
    asides: (suffix) => files.asides(suffix),
    read: (name) => files.read(name),
    remove: (name) => files.remove(name),
    setAside: (name, suffix) => files.setAside(name, suffix),
    async write(name, parts) {
      const startMs = clock.now();
      await files.write(name, parts);
      counts.snapshots++;
      counts.snapshotSeconds += (clock.now() - startMs) / 1_000;
      counts.snapshotBytes = parts.reduce((sum, { length }) => sum + length, 0);
    },
  };
}
