#!/usr/bin/env node
// What `npx` starts: runs Lighthouse on the Deno that came with the package, passes signals on, and ends as it ends.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const { runFlags } = require("../package.json").lighthouse;
const root = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

// Each signal that may end a process and can be caught; Windows has fewer.
const SIGNALS = ["SIGABRT", "SIGALRM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"]
  .filter((signal) => signal in constants.signals);

// Not by the package's own bin: that waits in a way in which no signal can be passed on.
const deno = require("deno/install_api.cjs").runInstall();
const args = ["run", "--config", root("deno.json"), ...runFlags, root("src/main.ts"), ...process.argv.slice(2)];
const env = {
  ...process.env,
  // The package's own package.json speaks to npm, not to Deno.
  DENO_NO_PACKAGE_JSON: "1",
  // Deno runs what its cache holds. In a home it would be whoever's home it is, which need not be who runs this; here it
  // is whoever may write the package. Who may not goes without a cache.
  DENO_DIR: root(".deno"),
};
const child = spawn(deno, args, { stdio: "inherit", env });
for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  // deno-lint-ignore no-console -- a program's last word
  console.error(`lighthouse: cannot start Deno: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
