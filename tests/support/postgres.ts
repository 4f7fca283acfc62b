import { freePort } from "./free_port.ts";
import { ServerProcess } from "./server_process.ts";
import { TempDir } from "./temp_dir.ts";

/** Authentication rules, by user; `seal` may log in over TLS only, and other users are unknown. */
const HBA = [
  "local all all trust",
  "host all trusting 127.0.0.1/32 trust",
  "host all clear 127.0.0.1/32 password",
  "host all old 127.0.0.1/32 md5",
  "hostssl all seal 127.0.0.1/32 scram-sha-256",
  "hostnossl all seal 127.0.0.1/32 reject",
  "host all all 127.0.0.1/32 scram-sha-256",
];

/** The users; all except the first have the password `s3cret`. */
const ROLES = `
  CREATE ROLE trusting LOGIN;
  CREATE ROLE clear LOGIN PASSWORD 's3cret';
  CREATE ROLE health LOGIN PASSWORD 's3cret';
  CREATE ROLE seal LOGIN PASSWORD 's3cret';
  CREATE ROLE foreign_words LOGIN PASSWORD 'pä ßwörd';
  SET password_encryption = 'md5';
  CREATE ROLE old LOGIN PASSWORD 's3cret';
  CREATE TABLE jobs (name text, waiting int);
  INSERT INTO jobs VALUES ('mail', 3), (NULL, NULL);
  GRANT SELECT ON jobs TO health;
`;

/** A test's own PostgreSQL server on loopback, stopped when it is disposed of. */
export class PostgresServer implements AsyncDisposable {
  /** Its address, as a check's target. */
  readonly target: string;
  readonly #process: ServerProcess;
  readonly #dir: TempDir;

  private constructor(port: number, process: ServerProcess, dir: TempDir) {
    this.target = `127.0.0.1:${port}`;
    this.#process = process;
    this.#dir = dir;
  }

  /** Its address, under its name. */
  get named(): string {
    return this.target.replace("127.0.0.1", "localhost");
  }

  /** Starts a server with {@linkcode ROLES}, which offers TLS if files (PEM) are given; resolves when it serves. */
  static async start(
    { tls }: { readonly tls?: { readonly key: string; readonly certificate: string } } = {},
  ): Promise<PostgresServer> {
    const port = freePort();
    const dir = new TempDir("lighthouse-postgres-");
    // PostgreSQL does not run as root.
    const owner = Deno.uid() === 0 ? { uid: await idOf("-u"), gid: await idOf("-g") } : undefined;
    const data = dir.file("data");
    const settings = ["fsync=off", "listen_addresses=127.0.0.1", `unix_socket_directories=${dir.path}`];
    if (tls !== undefined) {
      const [key, certificate] = [dir.file("key.pem"), dir.file("certificate.pem")];
      await Deno.copyFile(tls.key, key);
      await Deno.copyFile(tls.certificate, certificate);
      await Deno.chmod(key, 0o600);
      if (owner !== undefined) await Deno.chown(key, owner.uid, owner.gid);
      settings.push("ssl=on", `ssl_key_file=${key}`, `ssl_cert_file=${certificate}`);
    }
    if (owner !== undefined) await Deno.chown(dir.path, owner.uid, owner.gid);
    const environment = { ...owner, cwd: dir.path, clearEnv: true, env: { LC_ALL: "C" } };
    await run("initdb", ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"], environment);
    await Deno.writeTextFile(`${data}/pg_hba.conf`, `${HBA.join("\n")}\n`);
    const login = ["-h", dir.path, "-p", `${port}`, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-q"];
    await using stack = new AsyncDisposableStack();
    stack.use(dir);
    const process = stack.use(
      await ServerProcess.start(programOf("postgres"), {
        name: "PostgreSQL",
        args: ["-D", data, "-p", `${port}`, ...settings.flatMap((setting) => ["-c", setting])],
        ...environment,
        serves: () => run("psql", [...login, "-c", "SELECT 1"], environment),
        // Ends it and all its processes at once, and leaves nothing in shared memory.
        endSignal: "SIGQUIT",
      }),
    );
    await run("psql", [...login, "-c", ROLES], environment);
    stack.move();
    return new PostgresServer(port, process, dir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** The id of the user or the group that Debian made for PostgreSQL. */
async function idOf(which: "-u" | "-g"): Promise<number> {
  const { stdout } = await new Deno.Command("id", { args: [which, "postgres"], stdin: "null" }).output();
  return Number(new TextDecoder().decode(stdout));
}

/** A program of the newest version that is installed. */
function programOf(name: string): string {
  const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map((entry) => Number(entry.name));
  return `/usr/lib/postgresql/${Math.max(...versions)}/bin/${name}`;
}

async function run(name: string, args: readonly string[], options: Deno.CommandOptions): Promise<void> {
  const command = new Deno.Command(programOf(name), { args: [...args], ...options, stdin: "null" });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(`${name} failed: ${new TextDecoder().decode(stderr)}`);
}
