/** Why nothing can be mounted, for a test that is skipped then; `undefined` if mounting works. */
export const WHY_NO_MOUNT: string | undefined = whyNot();

/** A test's mount, removed when disposed of. */
export class Mount implements AsyncDisposable {
  #isThere = true;

  private constructor(readonly path: string) {}

  /** Makes a file or a directory read-only, for root too: replacing it or writing to it fails. */
  static async readOnly(path: string): Promise<Mount> {
    await run("mount", "--bind", path, path);
    const mount = new Mount(path);
    await run("mount", "-o", "remount,bind,ro", path);
    return mount;
  }

  /** Mounts a single file, as containers do: it can be written, not replaced. */
  static async alone(path: string, { from = path }: { readonly from?: string } = {}): Promise<Mount> {
    await run("mount", "--bind", from, path);
    return new Mount(path);
  }

  /** Mounts an empty disk of this many bytes over a directory, which is created if it does not exist. */
  static async disk(path: string, { bytes }: { readonly bytes: number }): Promise<Mount> {
    await Deno.mkdir(path, { recursive: true });
    await run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "lighthouse-test", path);
    return new Mount(path);
  }

  /** Unmounts it; files that are open stay with their processes. */
  async undo(): Promise<void> {
    if (!this.#isThere) return;
    this.#isThere = false;
    await run("umount", "--lazy", this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.undo();
  }
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
  if (!success) throw new Error(`Cannot ${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}

function whyNot(): string | undefined {
  if (Deno.uid() !== 0) return "only root may mount";
  const args = ["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "lighthouse-test", "/mnt"];
  const { success } = new Deno.Command("unshare", { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync();
  return success ? undefined : "the system does not let root mount here";
}
