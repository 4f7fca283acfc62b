/** A test's own directory, removed with its contents when disposed of. */
export class TempDir implements AsyncDisposable {
  /** Its absolute path. */
  readonly path: string;

  constructor(prefix = "lighthouse-") {
    this.path = Deno.realPathSync(Deno.makeTempDirSync({ prefix }));
  }

  /** The absolute path of a file inside. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Writes a file inside, creating its folders. */
  async write(name: string, contents: string): Promise<string> {
    const path = this.file(name);
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, contents);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true }).catch(() => {});
  }
}
