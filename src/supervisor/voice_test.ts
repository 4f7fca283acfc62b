import assert from "node:assert/strict";
import type { WorkerEvent } from "./plugin_host.ts";
import { Voice } from "./voice.ts";

function connection(state: "connected" | "disconnected", detail = ""): WorkerEvent {
  return { type: "connection", state, detail };
}

function log(message: string): WorkerEvent {
  return { type: "log", instance: "a", level: "info", message, properties: {} };
}

function ended(reason: string): WorkerEvent {
  return { type: "ended", reason };
}

function begin() {
  const told: WorkerEvent[] = [];
  return { told, voice: new Voice((event) => told.push(event)) };
}

Deno.test("Voice keeps what a worker says until it serves, but for its log", () => {
  const { told, voice } = begin();
  voice.say(ended("a"));
  voice.say(log("hello"));
  assert.deepEqual(told.splice(0), [log("hello")]);
  voice.speak();
  voice.say(ended("b"));
  assert.deepEqual(told, [ended("a"), ended("b")]);
});

Deno.test("Voice keeps of a worker's connection the newest state alone", () => {
  const { told, voice } = begin();
  voice.say(connection("connected"));
  voice.say(ended("a"));
  voice.say(connection("disconnected", "refused"));
  voice.speak();
  assert.deepEqual(told, [ended("a"), connection("disconnected", "refused")]);
});

Deno.test("Voice is held while another worker serves, and tells each thing once", () => {
  const { told, voice } = begin();
  voice.speak();
  voice.say(ended("a"));
  voice.hold();
  voice.say(ended("b"));
  assert.deepEqual(told, [ended("a")]);
  voice.speak();
  voice.hold();
  voice.speak();
  assert.deepEqual(told, [ended("a"), ended("b")]);
});

Deno.test("Voice keeps no more than 2,000 things", () => {
  const { told, voice } = begin();
  for (let i = 0; i < 2_100; i++) voice.say(ended(`${i}`));
  voice.speak();
  assert.equal(told.length, 2_000);
  assert.deepEqual(told.at(-1), ended("1999"));
});

Deno.test("Voice that has ended tells only what is logged", () => {
  const { told, voice } = begin();
  voice.say(ended("a"));
  voice.end();
  voice.say(ended("b"));
  voice.say(log("closing"));
  assert.deepEqual(told, [log("closing")]);
});
