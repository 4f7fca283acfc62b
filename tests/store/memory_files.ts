import type { SnapshotFiles } from "../../src/store/snapshot_files.ts";

/** Snapshots in memory: fast, and with failures on demand. */
export class MemoryFiles implements SnapshotFiles {
  /** The snapshots by name. */
  readonly contents: Map<string, Uint8Array<ArrayBuffer>> = new Map();
  /** Whether the next write fails. */
  fails = false;
  /** Awaited in the middle of each write. */
  during: () => Promise<void> = () => Promise.resolve();

  names(): Promise<readonly string[]> {
    return Promise.resolve([...this.contents.keys()].filter((name) => name.endsWith(".json")).sort());
  }

  asides(suffix: string): Promise<readonly string[]> {
    return Promise.resolve([...this.contents.keys()].filter((name) => name.endsWith(`.${suffix}`)).sort());
  }

  read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return Promise.resolve(this.contents.get(name) ?? new Uint8Array());
  }

  async write(name: string, parts: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    await this.during();
    if (this.fails) throw new Error("No space left on device");
    this.contents.set(name, new Uint8Array(await new Blob([...parts]).arrayBuffer()));
  }

  remove(name: string): Promise<void> {
    this.contents.delete(name);
    return Promise.resolve();
  }

  setAside(name: string, suffix: string): Promise<string> {
    const aside = `${name}.${suffix}`;
    this.contents.set(aside, this.contents.get(name) ?? new Uint8Array());
    this.contents.delete(name);
    return Promise.resolve(aside);
  }
}
