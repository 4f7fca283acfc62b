import assert from "node:assert/strict";
import fc from "fast-check";
import { Gate } from "./gate.ts";

/** A job that a test ends. */
class Job {
  readonly #end = Promise.withResolvers<void>();
  running = false;

  readonly run = async (): Promise<void> => {
    this.running = true;
    try {
      await this.#end.promise;
    } finally {
      this.running = false;
    }
  };

  end(error?: Error): void {
    if (error === undefined) this.#end.resolve();
    else this.#end.reject(error);
  }
}

/** Lets all pending promises settle. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

Deno.test("Gate limits the number of running jobs, first come, first served", async () => {
  const gate = new Gate(2);
  const jobs = [new Job(), new Job(), new Job(), new Job()];
  const all = jobs.map((job) => gate.run(job.run));
  await settle();
  assert.deepEqual(jobs.map(({ running }) => running), [true, true, false, false]);
  jobs[1]?.end();
  await settle();
  assert.deepEqual(jobs.map(({ running }) => running), [true, false, true, false]);
  for (const job of jobs) job.end();
  await Promise.all(all);
});

Deno.test("Gate: a failed job frees its place", async () => {
  const gate = new Gate(1);
  await assert.rejects(gate.run(() => Promise.reject(new Error("no"))), /no/);
  await assert.rejects(
    gate.run(() => {
      throw new Error("at once");
    }),
    /at once/,
  );
  assert.equal(await gate.run(() => Promise.resolve("yes")), "yes");
});

Deno.test("Gate never exceeds its bound and runs every job, in any order of ends", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(fc.nat(9), { maxLength: 12 }), async (most, order) => {
      const gate = new Gate(most);
      const jobs = order.map(() => new Job());
      const all = jobs.map((job) => gate.run(job.run));
      const ends = order.map((rank, i) => ({ rank, i })).toSorted((a, b) => a.rank - b.rank);
      for (const { i } of ends) {
        await settle();
        assert.ok(jobs.filter(({ running }) => running).length <= most);
        jobs[i]?.end();
      }
      await Promise.all(all);
    }),
    { numRuns: 50 },
  );
});

Deno.test.each([{ most: 0 }, { most: -1 }, { most: NaN }])("Gate rejects a bound of $most", ({ most }) => {
  assert.throws(() => new Gate(most), /atOnceMax must be >= 1/);
});

Deno.test("Gate: an urgent job runs before all waiting ones", async () => {
  const gate = new Gate(1);
  const jobs = [new Job(), new Job(), new Job()];
  const [first, usual, urgent] = jobs;
  assert(first !== undefined && usual !== undefined && urgent !== undefined);
  const all = [gate.run(first.run), gate.run(usual.run), gate.run(urgent.run, { isUrgent: true })];
  first.end();
  await settle();
  assert.deepEqual([usual.running, urgent.running], [false, true]);
  for (const job of jobs) job.end();
  await Promise.all(all);
});
