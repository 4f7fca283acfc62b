import assert from "node:assert/strict";
import type { CommandStep } from "../plugin/contract.ts";
import { NO_COMMANDS, recall, withCommands } from "./command_memory.ts";
import type { StepOutcome } from "./effects.ts";

function sent(command: string, answer?: string, isTimed?: true): StepOutcome {
  const step: CommandStep = { do: "command", command, expect: [""], isTimed };
  return answer === undefined
    ? { ok: true, step, tookMs: 1, output: "" }
    : { ok: false, step, failure: { kind: "answer", message: "", answer } };
}

const VERSION = [3, 0, 11];

Deno.test("CommandMemory knows which commands were rejected, and whether by the current process, until the version changes", () => {
  let memory = NO_COMMANDS;
  memory = withCommands(memory, [sent("add a", "no"), sent("add b", "no"), sent("add c")], {
    pid: 1,
    version: VERSION,
    nowMs: 0,
  });
  memory = withCommands(memory, [sent("add b"), sent("add d", "never")], { pid: 2, version: VERSION, nowMs: 0 });
  const { rejected } = recall(memory, { pid: 2, version: VERSION, nowMs: 9 });
  assert.deepEqual(rejected, [
    { command: "add a", answer: "no", isCurrent: false },
    { command: "add d", answer: "never", isCurrent: true },
  ]);
  assert.deepEqual(recall(memory, { pid: 2, version: [3, 2, 0], nowMs: 9 }).rejected, []);
});

Deno.test("CommandMemory counts from the last time that a timed command was sent, and from no other", () => {
  let memory = NO_COMMANDS;
  memory = withCommands(memory, [sent("drain a", undefined, true), sent("maint b")], {
    pid: 1,
    version: VERSION,
    nowMs: 100,
  });
  memory = withCommands(memory, [sent("drain a", undefined, true), sent("drain c", "no", true)], {
    pid: 1,
    version: VERSION,
    nowMs: 300,
  });
  const { sentAgoMs } = recall(memory, { pid: 1, version: undefined, nowMs: 1_000 });
  assert.deepEqual([...sentAgoMs], [["drain a", 700]]);
});

Deno.test("CommandMemory is bounded, and forgets the oldest command", () => {
  let memory = NO_COMMANDS;
  const answering = { pid: 1, version: VERSION, nowMs: 0 };
  for (let from = 0; from < 20_000; from += 100) {
    const numbers = Array.from({ length: 100 }, (_, i) => from + i);
    memory = withCommands(
      memory,
      numbers.flatMap((i) => [sent(`a${i}`, "no"), sent(`d${i}`, undefined, true)]),
      answering,
    );
  }
  const { rejected, sentAgoMs } = recall(memory, answering);
  assert.deepEqual([rejected.length, sentAgoMs.size], [1_000, 10_000]);
  assert.equal(rejected.at(-1)?.command, "a19999");
});
