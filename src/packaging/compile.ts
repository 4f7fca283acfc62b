/**
 * Makes standalone binaries: `deno task compile [--target TRIPLE…] [--all]`.
 * They contain the workers, the built-in plugins and all subcommands.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- output of a build tool
import { choice, type InferValue, message, multiple, object, option, string, withDefault } from "@optique/core";
import { run } from "@optique/run";
import { RUN_FLAGS } from "./flags.ts";
import { makeStage, pinnedDeno, ROOT } from "./stage.ts";

/** The targets of `deno compile`. */
const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;

const parser = object({
  targets: multiple(option("--target", choice(TARGETS, { metavar: "TRIPLE" }), {
    description: message`Target platform. Repeatable. Default: this platform.`,
  })),
  dir: withDefault(
    option("--dir", string({ metavar: "DIR" }), { description: message`Output directory.` }),
    "dist",
  ),
  all: withDefault(option("--all", { description: message`Build one binary for each of the five platforms.` }), false),
});

/** The name of the binary for a target; `undefined` stands for this machine. */
function nameFor(target: string | undefined): string {
  if (target === undefined) return "lighthouse";
  return `lighthouse-${target}${target.includes("windows") ? ".exe" : ""}`;
}

/** Compiles the staged files for one target; returns whether that succeeded. */
async function compile(stage: string, target: string | undefined, dir: string): Promise<boolean> {
  const args = [
    "compile",
    ...RUN_FLAGS,
    "--config=deno.json",
    // Types are checked before each commit, by the pinned Deno.
    "--no-check",
    // The cache would be in the directory for temporary files, and be read there whoever wrote it.
    "--no-code-cache",
    "--include=dist/commit",
    ...(target === undefined ? [] : [`--target=${target}`]),
    `--output=${dir}/${nameFor(target)}`,
    "src/main.ts",
  ];
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: stage, stdin: "null" }).spawn().status;
  return success;
}

async function main({ targets, dir, all }: InferValue<typeof parser>): Promise<number> {
  const pinned = await pinnedDeno();
  if (Deno.version.deno !== pinned) {
    console.error(
      `Compiling with Deno ${Deno.version.deno}; Lighthouse is tested with Deno ${pinned} (.tool-versions)`,
    );
  }
  await using stage = await makeStage();
  const out = dir.startsWith("/") ? dir : `${ROOT.pathname}${dir}`;
  const wanted = all ? TARGETS : targets.length > 0 ? targets : [undefined];
  let failed = 0;
  for (const target of wanted) if (!await compile(stage.path, target, out)) failed++;
  return failed === 0 ? 0 : 1;
}

Deno.exit(
  await main(run(parser, {
    programName: "deno task compile",
    args: Deno.args,
    help: "option",
    showDefault: true,
    description:
      message`Build standalone binaries of Lighthouse in dist/. Deno downloads the runtime that they contain; \
without network access, set DENORT_BIN to its path.`,
  })),
);
