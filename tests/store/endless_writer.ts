/**
 * Commits 1, 2, 3… without end, and prints each number once it is acknowledged,
 * preceded by the one it found; `durability_test.ts` kills it.
 *
 * @module
 */
import { systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { LIMITS } from "../../src/store/limits.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { DataDirectory } from "../../src/store/snapshot_files.ts";
import { Store } from "../../src/store/store.ts";
import { treeAt } from "../../src/store/tree.ts";

const store = await Store.open({
  files: await DataDirectory.open(Deno.args[0] ?? ""),
  clock: systemClock,
  wallNow: Date.now,
  log: SILENT,
  limits: LIMITS,
  loadLimit: undefined,
  removeLimit: { fromNowMs: -60_000 },
  bootstrapLimit: { fromNowMs: 0 },
  seeds: [],
});
const encoder = new TextEncoder();
const say = (n: number) => Deno.stdout.writeSync(encoder.encode(`${n}\n`));

let n = Number(treeAt(store.copy.data, ["n"]) ?? 0);
say(n);
for (;;) {
  n++;
  store.acquire("writer", undefined);
  store.update("writer", ["n"], n, undefined);
  // More than one page of the disk.
  store.update("writer", [`key ${n % 50}`], "x".repeat(500), undefined);
  const outcome = await store.commit("writer", undefined);
  if (outcome instanceof Refusal) throw new Error(outcome.message);
  say(n);
}
