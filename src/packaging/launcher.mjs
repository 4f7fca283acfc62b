#!/usr/bin/env node
// Started by `npx`: runs Lighthouse on the Deno of the package, forwards signals, and exits with its status.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const { runFlags } = require("../package.json").lighthouse;
const root = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

// All catchable signals that may end a process; Windows has fewer.
const SIGNALS = ["SIGABRT", "SIGALRM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"]
  .filter((signal) => signal in constants.signals);

// Not through the package's own bin, which waits in a way that prevents signal forwarding.
const deno = require("deno/install_api.cjs").runInstall();
const args = ["run", "--config", root("deno.json"), ...runFlags, root("src/main.ts"), ...process.argv.slice(2)];
const env = {
  ...process.env,
  // The package's own package.json is for npm, not for Deno.
  DENO_NO_PACKAGE_JSON: "1",
  // Deno runs what its cache contains. A cache in a home directory belongs to that user, who need not be the one who
  // runs this; here it
  // belongs to whoever may write the package. A user who may not write runs without a cache.
  DENO_DIR: root(".deno"),
};
const child = spawn(deno, args, { stdio: "inherit", env });
for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  // deno-lint-ignore no-console -- the error of a failed start
  console.error(`lighthouse: cannot start Deno: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
