import assert from "node:assert/strict";
import { PluginCatalog } from "./source.ts";

const CATALOG = new PluginCatalog(["check/tcp", "check/http", "discovery/file"]);

Deno.test("PluginCatalog finds built-in plugins by kind and name, and nothing else", () => {
  assert.deepEqual(CATALOG.find("check", "http"), { module: "builtin:check/http", origin: "builtin" });
  for (const name of ["file", "HTTP", "", "../check/http", "http/", "toString"]) {
    assert.equal(CATALOG.find("check", name), undefined, name);
  }
});

Deno.test("PluginCatalog names the plugins of one kind, sorted", () => {
  assert.deepEqual(CATALOG.names("check"), ["http", "tcp"]);
  assert.deepEqual(CATALOG.names("balancer"), []);
});

Deno.test("PluginCatalog finds loaded plugins, reports why others are missing, and never replaces built-in ones", () => {
  const source = { module: "data:text/javascript,", origin: "foreign" } as const;
  const catalog = CATALOG.with({
    loaded: new Map([["check/memcached", source], ["check/tcp", source]]),
    missing: new Map([["check/ftp", "file not found"]]),
  });
  assert.equal(catalog.find("check", "memcached"), source);
  assert.equal(catalog.find("discovery", "memcached"), undefined);
  assert.equal(catalog.find("check", "tcp")?.origin, "builtin");
  assert.equal(catalog.missing("check", "ftp"), "file not found");
  assert.deepEqual(catalog.names("check"), ["http", "memcached", "tcp"]);
});
