import assert from "node:assert/strict";
import { configured, issuesOf } from "../../../tests/support/probe.ts";
import zookeeper from "./mod.ts";

const MINIMAL = { hosts: ["zk1", "zk2:2182"], path: "/lighthouse" };

Deno.test("zookeeper accepts the keys of 1.0, with defaults for the rest", async () => {
  assert.deepEqual(await configured(zookeeper, MINIMAL), {
    hosts: ["zk1:2181", "zk2:2182"],
    chroot: "",
    path: "/lighthouse",
    sessionTimeoutMs: 10_000,
    auth: undefined,
    tls: undefined,
    resolveNames: false,
    acl: "open",
  });
});

Deno.test.each([
  { hosts: "zk1, zk2:2182,", wanted: ["zk1:2181", "zk2:2182"] },
  { hosts: ["zk1:2181", "zk1"], wanted: ["zk1:2181"] },
  { hosts: ["zk1,zk2", "zk3"], wanted: ["zk1:2181", "zk2:2181", "zk3:2181"] },
  { hosts: ["[::1]", "[fe80::2]:99", "10.0.0.1"], wanted: ["[::1]:2181", "[fe80::2]:99", "10.0.0.1:2181"] },
])("zookeeper reads the hosts $hosts", async ({ hosts, wanted }) => {
  assert.deepEqual((await configured(zookeeper, { ...MINIMAL, hosts })).hosts, wanted);
});

Deno.test.each([
  { hosts: "zk", path: "/a/b", wanted: "/a/b" },
  { hosts: "zk", path: "/a/b/", wanted: "/a/b" },
  { hosts: "zk", path: "//a//b//", wanted: "/a/b" },
  { hosts: "zk", path: "a/b", wanted: "/a/b" },
  { hosts: "zk", path: "/", wanted: "/" },
  { hosts: "zk1,zk2/apps/x/", path: "/a", wanted: "/apps/x/a" },
  { hosts: "zk/apps", path: "/", wanted: "/apps" },
])("zookeeper reads the path $path with the hosts $hosts as $wanted", async ({ hosts, path, wanted }) => {
  assert.equal((await configured(zookeeper, { hosts, path })).path, wanted);
});

Deno.test.each([
  { hosts: [], says: "hosts: must be a list of host:port" },
  { hosts: "zk:port", says: "hosts: must be" },
  { hosts: "zk:0", says: "hosts: must be" },
  { hosts: "zk:99999", says: "hosts: must be" },
  { hosts: "a b", says: "hosts: must be" },
  { hosts: "user@zk:2181", says: "hosts: must be" },
  { hosts: "zk/../x", says: "hosts: must be" },
  { hosts: [3], says: "hosts" },
  { path: "/a/../b", says: "path: must be" },
  { path: "", says: "path: must be" },
  { path: 3, says: "path: must be" },
  { session_timeout: 0, says: "session_timeout: must be a duration from 1s to 10m" },
  { acl: "closed", says: "acl: must be open, creator or readable" },
  { acl: "creator", says: "acl: must be open, because auth is not set" },
  { auth: "digest", says: "auth: must be a map with username and password" },
  { auth: { username: "a:b", password: "secret" }, says: "auth.username: must be a name without a colon" },
  { auth: { username: "a" }, says: "Missing key auth.password" },
  { auth: { password: "secret" }, says: "auth: must be a map with username" },
  { auth: { scheme: "sasl", username: "a", password: "secret" }, says: "auth.scheme: must be digest" },
  { chroot: "/x", says: "Unknown key chroot" },
  { tls: { cert: "/a.pem" }, says: "Missing key tls.key: required by tls.cert" },
  { tls: { ca: "a.pem" }, says: "tls.ca: must be the absolute path of a PEM file" },
  { tls: true, says: "tls: must be a map" },
])("zookeeper rejects $says", async ({ says, ...wrong }) => {
  const messages = (await issuesOf(zookeeper, { ...MINIMAL, ...wrong })).map(({ message }) => message).join("\n");
  assert.match(messages, new RegExp(says));
  assert.doesNotMatch(messages, /secret/);
});

Deno.test("zookeeper reports that acl needs auth whatever is wrong with other keys", async () => {
  const wrong = { ...MINIMAL, acl: "creator", session_timeout: "soon" };
  const messages = (await issuesOf(zookeeper, wrong)).map(({ message }) => message);
  assert.match(messages.join("\n"), /session_timeout: must be[^]*acl: must be open, because auth is not set/);
});

Deno.test("zookeeper reports missing keys", async () => {
  const messages = (await issuesOf(zookeeper, {})).map(({ message }) => message);
  assert.equal(messages.length, 2);
  assert.match(messages.join("\n"), /Missing key hosts[\s\S]*Missing key path/);
});

Deno.test.each([
  { auth: "digest:web:a:b:c" },
  { auth: { username: "web", password: "a:b:c" } },
  { auth: { scheme: "digest", user: "web", password: "a:b:c" } },
])("zookeeper reads the credential $auth", async ({ auth }) => {
  const { auth: read } = await configured(zookeeper, { ...MINIMAL, auth, acl: "creator" });
  assert.deepEqual(read, { scheme: "digest", secret: "web:a:b:c" });
});

Deno.test("zookeeper asks for its hosts and nothing else", async () => {
  const config = await configured(zookeeper, { ...MINIMAL, hosts: "zk1:1,[::1]:2/chroot" });
  assert.deepEqual(zookeeper.permissions(config, { instance: "zookeeper" }), { net: ["zk1:1", "[::1]:2"] });
});

Deno.test("zookeeper asks for the files of its TLS", async () => {
  const tls = { ca: "/etc/ca.pem", cert: "/etc/cert.pem", key: "/etc/key.pem", server_name: "zk" };
  const config = await configured(zookeeper, { ...MINIMAL, hosts: "zk1:2281/chroot", tls });
  assert.deepEqual([config.chroot, config.path], ["/chroot", "/chroot/lighthouse"]);
  assert.deepEqual(zookeeper.permissions(config, { instance: "zookeeper" }), {
    net: ["zk1:2281"],
    read: ["/etc/ca.pem", "/etc/cert.pem", "/etc/key.pem"],
  });
});

Deno.test("zookeeper asks for the name servers of its host and for the hosts file if it resolves names, and otherwise for neither", async () => {
  const scope = { instance: "zookeeper", nameServers: ["10.0.0.53:53"] };
  const config = await configured(zookeeper, { ...MINIMAL, hosts: "zk1", resolve_names: true });
  assert.deepEqual(zookeeper.permissions(config, scope), { net: ["zk1:2181", "10.0.0.53:53"], read: ["/etc/hosts"] });
  assert.deepEqual(zookeeper.permissions(await configured(zookeeper, { ...MINIMAL, hosts: "zk1" }), scope), {
    net: ["zk1:2181"],
  });
});
