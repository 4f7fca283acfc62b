import type { Clock } from "../kernel/clock.ts";
import type { Meter } from "../metrics/meter.ts";
import type { SnapshotFiles } from "./snapshot_files.ts";

/** Snapshot files, with write duration and size measured. */
export class MeasuredFiles implements SnapshotFiles {
  readonly #files: SnapshotFiles;
  readonly #meter: Meter;
  readonly #clock: Clock;
  #lastBytes: number | undefined;

  constructor(files: SnapshotFiles, { meter, clock }: { readonly meter: Meter; readonly clock: Clock }) {
    [this.#files, this.#meter, this.#clock] = [files, meter, clock];
  }

  /** Size of the last snapshot written; `undefined` before the first. */
  get lastBytes(): number | undefined {
    return this.#lastBytes;
  }

  async write(...[name, parts]: Parameters<SnapshotFiles["write"]>): Promise<void> {
    const startMs = this.#clock.now();
    await this.#files.write(name, parts);
    this.#meter.observe("lighthouse_store_snapshot_write_seconds", {}, (this.#clock.now() - startMs) / 1_000);
    this.#lastBytes = parts.reduce((sum, { length }) => sum + length, 0);
  }

  names: SnapshotFiles["names"] = () => this.#files.names();
  asides: SnapshotFiles["asides"] = (suffix) => this.#files.asides(suffix);
  read: SnapshotFiles["read"] = (name) => this.#files.read(name);
  remove: SnapshotFiles["remove"] = (name) => this.#files.remove(name);
  setAside: SnapshotFiles["setAside"] = (name, suffix) => this.#files.setAside(name, suffix);
}
