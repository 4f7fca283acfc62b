import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import type { Wanted } from "../plugin/contract.ts";
import type { ProgramVersion } from "./effects.ts";
import { KnownVersion } from "./known_version.ts";
import { OperatorLog } from "./operator_log.ts";

const WANTED: Wanted<string, string> = { config: "", host: { fqdn: "a.test", ip: "10.0.0.1" }, clusters: [] };
const NEVER = new AbortController().signal;

/** A program that tells what is next in a list; an error stands for one that cannot be asked. */
function program(...answers: readonly (ProgramVersion | Error | undefined)[]) {
  const left = [...answers];
  const log = new RecordingLogger();
  const file = { id: "1" };
  const known = new KnownVersion<string, string>({
    programFile: () => file.id,
    version: () => {
      const answer = left.shift();
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  }, new OperatorLog("haproxy", log));
  const fillIn = (wanted = WANTED, signal = NEVER) => known.fillIn(wanted, "/sbin/haproxy", signal);
  return { known, log, fillIn, left, file };
}

Deno.test("KnownVersion asks once, and answers the same value for the same wish", async () => {
  const { fillIn, left } = program([2, 6, 12], [2, 8, 0]);
  const first = await fillIn();
  assert.deepEqual(first, { ...WANTED, version: [2, 6, 12] });
  assert.equal(await fillIn(), first);
  assert.deepEqual((await fillIn({ ...WANTED, config: "other" }))?.version, [2, 6, 12]);
  assert.equal(left.length, 1);
});

Deno.test("KnownVersion asks nobody for a wish that has a version", async () => {
  const { fillIn, left } = program([2, 6, 12]);
  const wanted = { ...WANTED, version: [2, 4, 0] as const };
  assert.equal(await fillIn(wanted), wanted);
  assert.equal(left.length, 1);
});

Deno.test("KnownVersion asks again when it is doubted", async () => {
  const { known, fillIn } = program([2, 6, 12], [2, 8, 0]);
  await fillIn();
  known.doubt();
  assert.deepEqual((await fillIn())?.version, [2, 8, 0]);
});

Deno.test("KnownVersion asks again when the program's file was exchanged", async () => {
  const { file, fillIn, left } = program([2, 6, 12], [3, 4, 7], [3, 6, 0]);
  await fillIn();
  file.id = "2";
  assert.deepEqual((await fillIn())?.version, [3, 4, 7]);
  assert.deepEqual((await fillIn())?.version, [3, 4, 7]);
  assert.equal(left.length, 1);
});

Deno.test("KnownVersion takes a version as unknown when it was not told three times, and goes on asking", async () => {
  const { fillIn, log } = program(new Error("no such file"), undefined, new Error("no such file"), [2, 6, 12]);
  assert.equal(await fillIn(), undefined);
  assert.equal(await fillIn(), undefined);
  assert.deepEqual(await fillIn(), { ...WANTED, version: undefined });
  assert.deepEqual((await fillIn())?.version, [2, 6, 12]);
  assert.deepEqual(log.take(), ["error Cannot ask /sbin/haproxy for its version: no such file"]);
});

Deno.test("KnownVersion keeps what was told when a doubt cannot be settled", async () => {
  const { known, fillIn } = program([2, 6, 12], undefined, [2, 8, 0]);
  await fillIn();
  known.doubt();
  assert.deepEqual((await fillIn())?.version, [2, 6, 12]);
  assert.deepEqual((await fillIn())?.version, [2, 8, 0]);
});

Deno.test("KnownVersion throws when it is broken off, and tells nobody", async () => {
  const { fillIn, log } = program(new Error("it was ended"));
  await assert.rejects(fillIn(WANTED, AbortSignal.abort(new Error("the end"))), /the end/);
  assert.deepEqual(log.take(), []);
});
