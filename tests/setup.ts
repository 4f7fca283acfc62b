/**
 * Makes sure that the programs which the tests and the demo run are installed:
 * `deno run tests/setup.ts [NAME…]`, all of them unless named. As root on
 * Debian it installs what is missing; otherwise it says what to install and
 * leaves with 1.
 *
 * @module
 */

/** A program that tests or the demo run. */
interface Requirement {
  /** The files it is made of: absolute paths, or names to be found in a folder of programs. */
  readonly files: readonly string[];
  /** The Debian packages that bring it. */
  readonly packages: readonly string[];
}

const REQUIREMENTS = {
  haproxy: { files: ["haproxy"], packages: ["haproxy"] },
  zookeeper: {
    files: ["java", "/usr/share/java/zookeeper.jar"],
    packages: ["default-jre-headless", "libzookeeper-java"],
  },
  etcd: { files: ["etcd", "etcdctl"], packages: ["etcd-server", "etcd-client"] },
  serf: { files: ["serf"], packages: ["serf"] },
  redis: { files: ["redis-server"], packages: ["redis-server"] },
  kazoo: { files: ["python3", "/usr/lib/python3/dist-packages/kazoo"], packages: ["python3-kazoo"] },
  nginx: { files: ["nginx"], packages: ["nginx-light"] },
  nginx_stream: {
    files: ["nginx", "/usr/lib/nginx/modules/ngx_stream_module.so"],
    packages: ["nginx-light", "libnginx-mod-stream"],
  },
  systemd: { files: ["systemd-analyze"], packages: ["systemd"] },
  dnsmasq: { files: ["dnsmasq"], packages: ["dnsmasq-base"] },
  grpc: { files: ["python3", "/usr/lib/python3/dist-packages/grpc"], packages: ["python3-grpcio"] },
  postgres: { files: ["pg_ctlcluster", "/usr/lib/postgresql"], packages: ["postgresql"] },
  chromium: { files: ["chromium"], packages: ["chromium"] },
  curl: { files: ["curl"], packages: ["curl"] },
  nftables: { files: ["nft"], packages: ["nftables"] },
  faketime: { files: ["/usr/bin/faketime"], packages: ["faketime"] },
  iproute: { files: ["ip"], packages: ["iproute2"] },
  patchelf: { files: ["patchelf"], packages: ["patchelf"] },
  prometheus: { files: ["prometheus", "promtool"], packages: ["prometheus"] },
  groff: { files: ["groff"], packages: ["groff"] },
  openssl: { files: ["openssl"], packages: ["openssl"] },
} as const satisfies Record<string, Requirement>;

/** A name that {@linkcode setUp} knows. */
export type RequirementName = keyof typeof REQUIREMENTS;

/** All the names. */
export const REQUIREMENT_NAMES = Object.keys(REQUIREMENTS) as readonly RequirementName[];

/** Raised when something is missing and cannot be installed from here; the message says what to do. */
export class MissingProgramError extends Error {
  override name = "MissingProgramError";
}

/**
 * Installs those of the named programs that are missing.
 *
 * @throws {MissingProgramError} if one is missing and this is not root on Debian, or the installation failed
 */
export async function setUp(names: readonly RequirementName[] = REQUIREMENT_NAMES): Promise<void> {
  const missing = names.filter((name) => !REQUIREMENTS[name].files.every(isThere));
  if (missing.length === 0) return;
  const packages = missing.flatMap((name) => [...REQUIREMENTS[name].packages]);
  const wanted = `Cannot go on without ${missing.join(", ")}`;
  if (Deno.uid() !== 0 || !isThere("apt-get")) {
    throw new MissingProgramError(`${wanted}: as root, run apt-get install ${packages.join(" ")}`);
  }
  await aptGet("update", "--quiet=2");
  await aptGet("install", "--yes", "--quiet=2", "--no-install-recommends", ...packages);
  const still = missing.filter((name) => !REQUIREMENTS[name].files.every(isThere));
  if (still.length > 0) throw new MissingProgramError(`${wanted}: apt-get installed ${packages.join(" ")} in vain`);
}

/** Whether a file exists, or a program of that name in one of the folders where Debian puts them. */
function isThere(file: string): boolean {
  const paths = file.startsWith("/")
    ? [file]
    : ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map((dir) => `${dir}/${file}`);
  return paths.some((path) => {
    try {
      Deno.statSync(path);
      return true;
    } catch {
      return false;
    }
  });
}

/** Runs apt-get without questions; what it says goes to standard error. */
async function aptGet(...args: readonly string[]): Promise<void> {
  const command = new Deno.Command("apt-get", {
    args: [...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  if (success) return;
  const said = new TextDecoder().decode(stderr) || new TextDecoder().decode(stdout);
  throw new MissingProgramError(`Cannot install as apt-get ${args.join(" ")} failed: ${said.trim()}`);
}

if (import.meta.main) {
  const names = Deno.args.filter((arg): arg is RequirementName => arg in REQUIREMENTS);
  const unknown = Deno.args.filter((arg) => !(arg in REQUIREMENTS));
  try {
    if (unknown.length > 0) {
      throw new MissingProgramError(
        `Cannot set up ${unknown.join(", ")}: known are ${REQUIREMENT_NAMES.join(", ")}`,
      );
    }
    await setUp(names.length === 0 ? REQUIREMENT_NAMES : names);
  } catch (error) {
    if (!(error instanceof MissingProgramError)) throw error;
    // deno-lint-ignore no-console -- a program's last word
    console.error(error.message);
    Deno.exit(1);
  }
}
