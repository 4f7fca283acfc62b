import assert from "node:assert/strict";
import { PluginCatalog } from "./source.ts";

const CATALOG = new PluginCatalog(["check/tcp", "check/http", "discovery/file"]);

Deno.test("PluginCatalog finds what ships by kind and name, and nothing else", () => {
  assert.deepEqual(CATALOG.find("check", "http"), { module: "builtin:check/http", origin: "builtin" });
  for (const name of ["file", "HTTP", "", "../check/http", "http/", "toString"]) {
    assert.equal(CATALOG.find("check", name), undefined, name);
  }
});

Deno.test("PluginCatalog names the plugins of one kind, sorted", () => {
  assert.deepEqual(CATALOG.names("check"), ["http", "tcp"]);
  assert.deepEqual(CATALOG.names("balancer"), []);
});
