import assert from "node:assert/strict";
import { TempDir } from "../support/temp_dir.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { hasNew, reloadByMaster, ReloadFailedError } from "../../src/balance/master_socket.ts";
import { NobodyListensError, SocketSilentError } from "../../src/balance/runtime_socket.ts";
import { askedOf } from "../../plugins/balancers/haproxy/processes.ts";

const BEFORE = `#<PID>          <type>          <reloads>       <uptime>        <version>
10036           master          0 [failed: 0]   0d00h00m04s     2.6.12-1+deb12u4
# workers
10038           worker          0               0d00h00m04s     2.6.12-1+deb12u4
# programs
`;
const AFTER = BEFORE.replace("10038 ", "10050 ").replace(
  "# programs",
  "# old workers\n10038 worker 1 0d00h00m09s\n# programs",
);
const FAILED = BEFORE.replace("failed: 0", "failed: 1");

/** A master that answers each command with the next of its answers, repeating the last one. */
async function reloadWith(
  answers: { readonly "show proc": readonly string[]; readonly reload: string },
  deadlineMs = 5_000,
): Promise<string> {
  await using dir = new TempDir();
  const path = dir.file("master.sock");
  const statuses = [...answers["show proc"]];
  using listener = Deno.listen({ transport: "unix", path });
  const serving = (async () => {
    for await (const connection of listener) {
      const buffer = new Uint8Array(64);
      const command = new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0)).trim();
      const answer = command === "reload"
        ? answers.reload
        : (statuses.length > 1 ? statuses.shift() : statuses[0]) ?? "";
      await connection.write(new TextEncoder().encode(answer));
      connection.close();
    }
  })();
  try {
    return await reloadByMaster(askedOf(path), {
      clock: systemClock,
      deadlineMs,
      signal: new AbortController().signal,
    });
  } finally {
    listener.close();
    await serving.catch(() => {});
  }
}

Deno.test("askedOf() distinguishes a new worker from an old one, and a new failure from an old one", () => {
  const { watch } = askedOf("/run/master.sock");
  assert(watch !== undefined);
  const took = (before: string, now: string) => hasNew(watch.took, { before, now });
  const failed = (before: string, now: string) => hasNew(watch.failed, { before, now });
  assert.deepEqual([took(BEFORE, AFTER), failed(BEFORE, AFTER)], [true, false]);
  assert.deepEqual([took(BEFORE, BEFORE), failed(BEFORE, BEFORE)], [false, false]);
  assert.deepEqual([took(BEFORE, FAILED), failed(BEFORE, FAILED)], [false, true]);
  // The previous reload had failed, and this one succeeds.
  assert.deepEqual([took(FAILED, AFTER), failed(FAILED, AFTER)], [true, false]);
  assert.deepEqual([took(FAILED, FAILED.replace("failed: 1", "failed: 2")), failed(FAILED, FAILED)], [false, false]);
  assert.equal(failed(FAILED, FAILED.replace("failed: 1", "failed: 2")), true);
  assert.deepEqual([took(BEFORE, ""), failed(BEFORE, "")], [false, false]);
});

Deno.test("reloadByMaster() returns the result that a master reports", async () => {
  const told = { "show proc": [BEFORE], reload: "Success=1\n--\n[WARNING] (7) : a word\n" };
  assert.equal(await reloadWith(told), "[WARNING] (7) : a word");
  await assert.rejects(
    reloadWith({ ...told, reload: "Success=0\n--\n[ALERT] (7) : cannot bind\n" }),
    new ReloadFailedError("[ALERT] (7) : cannot bind"),
  );
});

Deno.test("reloadByMaster() determines the result itself if the master reports none", async () => {
  assert.equal(await reloadWith({ "show proc": [BEFORE, BEFORE, AFTER], reload: "" }), "");
  await assert.rejects(reloadWith({ "show proc": [BEFORE, BEFORE, FAILED], reload: "" }), ReloadFailedError);
  await assert.rejects(reloadWith({ "show proc": [BEFORE], reload: "" }, 200), SocketSilentError);
});

Deno.test("reloadByMaster() reports that there is no master", async () => {
  await using dir = new TempDir();
  const options = { clock: systemClock, deadlineMs: 1_000, signal: new AbortController().signal };
  await assert.rejects(reloadByMaster(askedOf(dir.file("none")), options), NobodyListensError);
});
