import assert from "node:assert/strict";
import type { ValueAnswer } from "./answers.ts";
import { ReadyAnswers } from "./ready_answers.ts";

const answerOf = (length: number): ValueAnswer => ({ status: 200, headers: [], body: new Uint8Array(length) });

Deno.test("ReadyAnswers stays within its limit for any URLs, and has room again once cleared", () => {
  const ready = new ReadyAnswers(100_000);
  const keepAll = () => {
    for (let i = 0; i < 1_000; i++) ready.keep(`http://localhost/data/s?${i}`, answerOf(20_000));
    return Array.from({ length: 1_000 }, (_, i) => ready.find(`http://localhost/data/s?${i}`)).filter(Boolean).length;
  };
  assert.equal(keepAll(), 4);
  assert.equal(keepAll(), 4, "the same answers take no more memory");
  ready.clear();
  assert.equal(ready.find("http://localhost/data/s?0"), undefined);
  assert.equal(keepAll(), 4);
  for (let i = 0; i < 1_000; i++) ready.keep(`http://localhost/data/x?${i}`, answerOf(1));
  assert.ok(ready.find("http://localhost/data/x?100") === undefined, "small answers count too");
});
