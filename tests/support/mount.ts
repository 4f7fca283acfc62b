/** Why nothing can be mounted from here, for a test that is left out then; `undefined` if it can. */
export const WHY_NO_MOUNT: string | undefined = whyNot();

/** Something mounted by a test, gone when disposed of. */
export class Mount implements AsyncDisposable {
  #isThere = true;

  private constructor(readonly path: string) {}

  /** Makes a file or a directory read-only, for root too: what replaces it or writes to it fails. */
  static async readOnly(path: string): Promise<Mount> {
    await run("mount", "--bind", path, path);
    const mount = new Mount(path);
    await run("mount", "-o", "remount,bind,ro", path);
    return mount;
  }

  /** Mounts a file by itself, as containers do with a single file: it can be written, not replaced. */
  static async alone(path: string, { from = path }: { readonly from?: string } = {}): Promise<Mount> {
    await run("mount", "--bind", from, path);
    return new Mount(path);
  }

  /** Mounts an empty disk of so many bytes over a directory, which is made if it is not there. */
  static async disk(path: string, { bytes }: { readonly bytes: number }): Promise<Mount> {
    await Deno.mkdir(path, { recursive: true });
    await run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "lighthouse-test", path);
    return new Mount(path);
  }

  /** Takes it away; what is still open there stays with whoever holds it. */
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
