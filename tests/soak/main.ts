/**
 * The soak: `deno task soak [MINUTES]`, twelve unless told. Prints what the
 * process uses as it goes, and at the end by how much each figure grows.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- this program's output is its purpose
import { FIGURES, trends } from "./gauge.ts";
import { soak } from "./soak.ts";

const minutes = Number(Deno.args[0] ?? 12);
if (!(minutes > 0)) {
  console.error(`Cannot soak as MINUTES must be a number > 0; current value is "${Deno.args[0]}"`);
  Deno.exit(2);
}
const { reconnects, changes, samples } = await soak({
  reconnects: 1_000,
  changes: 20_000,
  mostMs: minutes * 60_000,
  onSample: ({ atMs, rssKb, handles, threads, pool }, done) =>
    console.log(
      `${
        (atMs / 1_000).toFixed(0).padStart(5)
      } s  ${rssKb} kB  ${handles} handles  ${threads} threads, ${pool} of the pool  ` +
        `${done.reconnects} reconnects  ${done.changes} changes`,
    ),
});
console.log(`\n${reconnects} reconnects and ${changes} changes of members`);
for (const { figure, first, last, perHour } of trends(samples)) {
  const grown = (last / first - 1) * 100;
  console.log(
    `${figure}: ${first} at first, ${last} at last (${grown.toFixed(1)} %), ${perHour.toFixed(1)} ${
      FIGURES[figure]
    } an hour`,
  );
}
