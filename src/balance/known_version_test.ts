import assert from "node:assert/strict";
import type { Wanted } from "../plugin/contract.ts";
import type { ProgramVersion } from "./effects.ts";
import { Prepared } from "./gather.ts";
import { askVersion, NO_VERSION } from "./known_version.ts";

const WANTED: Wanted<string, string> = { config: "", host: { fqdn: "a.test", ip: "10.0.0.1" }, clusters: [] };
const NEVER = new AbortController().signal;

/** A program that reports what is next in a list; an error stands for one that cannot be asked. */
function program(...answers: readonly (ProgramVersion | Error | undefined)[]) {
  const left = [...answers];
  const file = { id: "1" };
  const faults: string[] = [];
  const effects = {
    programFile: () => file.id,
    version: () => {
      const answer = left.shift();
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  const prepared = new Prepared<string, string>({ render: () => ({ files: new Map(), notices: [] }) });
  let known = NO_VERSION;
  const fillIn = async (wanted = WANTED, signal = NEVER) => {
    const told = await askVersion(known, "/sbin/haproxy", { effects, signal });
    known = told.known;
    faults.push(...told.faults);
    return told.isKnown ? prepared.fillIn(wanted, known.version) : undefined;
  };
  const doubt = () => void (known = { ...known, isDoubted: true });
  return { doubt, faults, fillIn, left, file };
}

Deno.test("KnownVersion asks once, and returns the same value for the same desired value", async () => {
  const { fillIn, left } = program([2, 6, 12], [2, 8, 0]);
  const first = await fillIn();
  assert.deepEqual(first, { ...WANTED, version: [2, 6, 12] });
  assert.equal(await fillIn(), first);
  assert.deepEqual((await fillIn({ ...WANTED, config: "other" }))?.version, [2, 6, 12]);
  assert.equal(left.length, 1);
});

Deno.test("KnownVersion asks again when in doubt", async () => {
  const { doubt, fillIn } = program([2, 6, 12], [2, 8, 0]);
  await fillIn();
  doubt();
  assert.deepEqual((await fillIn())?.version, [2, 8, 0]);
});

Deno.test("KnownVersion asks again when the program's file was replaced", async () => {
  const { file, fillIn, left } = program([2, 6, 12], [3, 4, 7], [3, 6, 0]);
  await fillIn();
  file.id = "2";
  assert.deepEqual((await fillIn())?.version, [3, 4, 7]);
  assert.deepEqual((await fillIn())?.version, [3, 4, 7]);
  assert.equal(left.length, 1);
});

Deno.test("KnownVersion counts a version as unknown after three attempts without an answer, and keeps asking", async () => {
  const { fillIn, faults } = program(new Error("no such file"), undefined, new Error("no such file"), [2, 6, 12]);
  assert.equal(await fillIn(), undefined);
  assert.equal(await fillIn(), undefined);
  assert.deepEqual(await fillIn(), { ...WANTED, version: undefined });
  assert.deepEqual((await fillIn())?.version, [2, 6, 12]);
  assert.deepEqual([...new Set(faults)], ["Cannot read the version of /sbin/haproxy: no such file"]);
});

Deno.test("KnownVersion keeps the reported version when a doubt cannot be settled", async () => {
  const { doubt, fillIn } = program([2, 6, 12], undefined, [2, 8, 0]);
  await fillIn();
  doubt();
  assert.deepEqual((await fillIn())?.version, [2, 6, 12]);
  assert.deepEqual((await fillIn())?.version, [2, 8, 0]);
});

Deno.test("KnownVersion throws when it is aborted, and reports nothing", async () => {
  const { fillIn, faults } = program(new Error("it was ended"));
  await assert.rejects(fillIn(WANTED, AbortSignal.abort(new Error("the end"))), /the end/);
  assert.deepEqual(faults, []);
});
