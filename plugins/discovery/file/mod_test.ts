import assert from "node:assert/strict";
import { configured, issuesOf } from "../../../tests/support/probe.ts";
import file from "./mod.ts";

Deno.test("file takes a path, and a ttl of five seconds by default", async () => {
  assert.deepEqual(await configured(file, { path: "/run/registry//" }), {
    path: "/run/registry",
    ttlMs: 5_000,
    resolveNames: false,
  });
  assert.deepEqual(await configured(file, { path: "/a", ttl: "2.5" }), {
    path: "/a",
    ttlMs: 2_500,
    resolveNames: false,
  });
});

Deno.test.each([
  { path: "registry", says: "path: must be the absolute path of a directory" },
  { path: "./registry", says: "path: must be" },
  { path: "/run/../etc", says: "path: must be" },
  { path: "/", says: "path: must be" },
  { path: "", says: "path: must be" },
  { path: 7, says: "path: must be" },
  { path: "/a", ttl: 0, says: "ttl: must be a duration from 500ms to 1h" },
  { path: "/a", dir: "/b", says: "Unknown key dir" },
  { ttl: 1, says: "Missing key path" },
])("file rejects $says", async ({ says, ...wrong }) => {
  assert.match((await issuesOf(file, wrong)).map(({ message }) => message).join("\n"), new RegExp(says));
});

Deno.test("file asks for its directory and nothing else", async () => {
  const config = await configured(file, { path: "/run/registry" });
  const path = "/run/registry";
  assert.deepEqual(file.permissions(config, { instance: "file" }), { read: [path], write: [path] });
});
