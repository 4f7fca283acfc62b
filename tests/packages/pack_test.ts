import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { WHY_NO_NAMESPACE } from "../support/network_namespace.ts";
import { TempDir } from "../support/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Runs a program to its end, which must be a good one; answers what it printed. */
async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assert.ok(success, `${program} ${args.join(" ")}: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** The package, installed by npm under a prefix of its own. */
interface Installed {
  readonly dir: TempDir;
  /** What npm made of it in the working directory of a user. */
  readonly archive: string;
  /** The program. */
  readonly program: string;
  /** Where its files are. */
  readonly files: string;
}

async function install(dir: TempDir): Promise<Installed> {
  // Others run it, too.
  await Deno.chmod(dir.path, 0o755);
  const archive = (await run(Deno.execPath(), ["task", "--quiet", "pack"], ROOT)).trim();
  const quietly = ["--silent", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...quietly, "--prefix", dir.path, "--global", `./${archive}`], ROOT);
  return {
    dir,
    archive,
    program: dir.file("bin/lighthouse"),
    files: dir.file("lib/node_modules/@lighthouse/lighthouse"),
  };
}

const prefix = new TempDir("lighthouse-pack-");
let installed: Installed;
Deno.test.beforeAll(async () => {
  installed = await install(prefix);
});
Deno.test.afterAll(() => prefix[Symbol.asyncDispose]());

/** Every file of a folder, as a path from it. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) found.push(...(await filesIn(`${folder}/${name}`)).map((path) => `${name}/${path}`));
    else found.push(name);
  }
  return found;
}

/** A user without a home, in a network that has no way out, without a variable but PATH. */
const NOBODY = [
  "setpriv",
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
  "env",
  "-i",
  "PATH=/usr/sbin:/usr/bin:/bin",
];

// Comes first, so that nobody has started the program before.
Deno.test(
  "the npm package serves for a user without a home and without a network, from its first start on",
  { ignore: WHY_NO_NAMESPACE !== undefined },
  async () => {
    await setUp(["haproxy", "curl", "iproute"]);
    await using dir = new TempDir("lighthouse-nobody-");
    for (const name of ["balancers/haproxy", "clusters/web", "services/web", "discovery/file"]) {
      const text = await Deno.readTextFile(`${ROOT}examples/web/${name}.yaml`);
      await dir.write(
        `config/${name}.yaml`,
        text.replaceAll("/tmp/lighthouse-demo", dir.file("run")).replace("[18001, 18002, 18003]", "18001"),
      );
    }
    await dir.write("config/host.yaml", "name: app.test\nip: 127.0.0.1\n");
    await Deno.mkdir(dir.file("run"));
    await Deno.chmod(dir.path, 0o755);
    await Deno.chown(dir.file("run"), 65534, 65534);
    const lighthouse = [...NOBODY, installed.program];
    // One network without a way out for all of it; what is started in it ends with the script.
    const script = await dir.write(
      "script.sh",
      `set -e
ip link set lo up
${lighthouse.join(" ")} --version
${lighthouse.join(" ")} check ${dir.file("config")}
trap 'kill $service $writer $reporter $(cat ${dir.file("run/haproxy.pid")})' EXIT
${Deno.execPath()} run --no-prompt --allow-net ${ROOT}examples/demo/web_service.ts 18001 & service=$!
${lighthouse.join(" ")} writer ${dir.file("config")} & writer=$!
${lighthouse.join(" ")} reporter ${dir.file("config")} & reporter=$!
curl --silent --show-error --fail --retry 300 --retry-delay 1 --retry-all-errors http://127.0.0.1:18080/
`,
    );
    const said = await run("unshare", ["--net", "sh", script], dir.path);
    assert.match(said, new RegExp(`^lighthouse ${RegExp.escape(config.version)}$`, "m"));
    assert.match(said, /valid: 0 errors, 0 warnings/);
    assert.match(said, /^hello from 127\.0\.0\.1:18001$/m);
  },
);

Deno.test("deno task pack makes a package that npm installs and that runs the demo", async () => {
  await setUp(["haproxy"]);
  const page = await Deno.readTextFile(`${ROOT}docs/install.md`);
  const [, archive = ""] = /^npm install --global (\S+)$/m.exec(page) ?? [];
  assert.equal(archive, `./${installed.archive}`, "docs/install.md names what is packed");

  assert.match(
    await run(installed.program, ["--version"], installed.dir.path),
    new RegExp(`^lighthouse ${RegExp.escape(config.version)}\ncommit [0-9a-f]{12}`),
  );
  // It ends what it has started with a signal, which has to come through.
  const demo = await run(
    Deno.execPath(),
    ["task", "--quiet", "demo", "--once", `--program=${installed.program}`],
    ROOT,
  );
  assert.match(demo, /requests failed +0$/m);
});

Deno.test("the npm package holds all that it imports, and nothing of tests or of the machine that packed it", async () => {
  const own = (await filesIn(installed.files)).filter((path) => !/^(?:node_modules|\.deno)\//.test(path));
  assert.ok(own.includes("mod.ts") && own.includes("vendor/LICENSES"));
  assert.deepEqual(own.filter((path) => /_test\.ts$|fast-check|pure-rand|^tests\//.test(path)), []);
  const { imports } = JSON.parse(await Deno.readTextFile(`${installed.files}/deno.json`)) as {
    imports: Record<string, string>;
  };
  for (const [specifier, path] of Object.entries(imports)) {
    assert.ok((await Deno.stat(`${installed.files}/${path}`)).isFile, specifier);
  }
  const home = ROOT.slice(0, ROOT.indexOf("/", 1) + 1);
  for (const path of own.filter((path) => path.startsWith("vendor/"))) {
    const text = await Deno.readTextFile(`${installed.files}/${path}`);
    assert.doesNotMatch(text, /\bfast-check\b|\/\.cache\/deno|^\/\/ \.\.\//m, path);
    assert.ok(!text.includes(`${home}deno`), path);
  }
  const licences = await Deno.readTextFile(`${installed.files}/vendor/LICENSES`);
  for (const name of ["acorn", "amaro", "valibot", "yaml"]) {
    assert.match(licences, new RegExp(`^${name} [0-9]+\\.`, "m"));
  }
});

Deno.test("the npm package's launcher passes on every signal that ends a process, and ends as Lighthouse ends", async () => {
  await using dir = new TempDir("lighthouse-launcher-");
  await dir.write("config/host.yaml", "name: localhost\nip: 127.0.0.1\n");
  for (const signal of ["SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGTERM"] as const) {
    await using launcher = new Deno.Command(installed.program, {
      args: ["reporter", dir.file("config"), "--log-format", "logfmt"],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let said = "";
    const read = (async () => {
      for await (const chunk of launcher.stderr.pipeThrough(new TextDecoderStream())) said += chunk;
    })();
    await eventually("Lighthouse runs", () => /event=config\.applied/.test(said));
    launcher.kill(signal);
    if (signal === "SIGHUP") {
      // Lighthouse looks at its config again at that one, and goes on.
      await eventually("it has looked again", () => /event=config\.reread\b/.test(said));
      launcher.kill("SIGTERM");
    }
    const { code } = await launcher.status;
    // What ends the launcher has ended Lighthouse: else its standard error would still be open.
    await read;
    const want = { SIGQUIT: 131, SIGUSR1: 138, SIGUSR2: 140, SIGHUP: 0, SIGINT: 0, SIGTERM: 0 }[signal];
    assert.equal(code, want, `${signal}: ${said}`);
  }
});
