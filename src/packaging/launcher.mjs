#!/usr/bin/env node
// What `npx` starts: runs Lighthouse on the Deno that came with the package, and is nothing more than its shadow.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const { runFlags } = require("../package.json").lighthouse;
const root = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

// Not by the package's own bin: that waits in a way in which no signal can be passed on.
const deno = require("deno/install_api.cjs").runInstall();
const args = ["run", "--config", root("deno.json"), ...runFlags, root("src/main.ts"), ...process.argv.slice(2)];
// The package's own package.json speaks to npm, not to Deno, which would hold it against the lock file.
const child = spawn(deno, args, { stdio: "inherit", env: { ...process.env, DENO_NO_PACKAGE_JSON: "1" } });
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  // deno-lint-ignore no-console -- a program's last word
  console.error(`lighthouse: cannot start Deno: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
