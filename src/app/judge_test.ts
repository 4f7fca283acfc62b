import assert from "node:assert/strict";
import { findQuoted } from "./judge.ts";

const CONFIG = { global: ["daemon", "nbthread 2"], stats: { uri: "/stats" }, port: 80 };

Deno.test.each([
  { why: "a line of a list", message: `global: the line "nbthread 2" is left out`, then: ["global", 1] },
  { why: "a value of a map", message: `no "daemons", but "/stats"`, then: ["stats", "uri"] },
  { why: "nothing that is not there", message: `(line 3: "maxconn x")`, then: undefined },
  { why: "nothing in a message that quotes nothing", message: "no", then: undefined },
])("findQuoted() finds $why", ({ message, then }) => assert.deepEqual(findQuoted(CONFIG, message), then));
