import assert from "node:assert/strict";
import { configured, issuesOf } from "../../../tests/support/probe.ts";
import etcd from "./mod.ts";

const MINIMAL = { endpoints: ["etcd1"] };

Deno.test("etcd has defaults for all but its endpoints", async () => {
  assert.deepEqual(await configured(etcd, MINIMAL), {
    endpoints: ["etcd1:2379"],
    prefix: "/lighthouse/services",
    credential: undefined,
    tls: undefined,
    sessionTimeoutMs: 10_000,
    api: "v3",
    resolveNames: false,
  });
});

Deno.test.each([
  { endpoints: "etcd1, etcd2:2380", wanted: ["etcd1:2379", "etcd2:2380"], isSecure: false },
  { endpoints: ["http://etcd1:2379/", "etcd1"], wanted: ["etcd1:2379"], isSecure: false },
  { endpoints: ["https://etcd1", "https://[::1]:99"], wanted: ["etcd1:2379", "[::1]:99"], isSecure: true },
])("etcd reads the endpoints $endpoints", async ({ endpoints, wanted, isSecure }) => {
  const config = await configured(etcd, { endpoints });
  assert.deepEqual([config.endpoints, config.tls !== undefined], [wanted, isSecure]);
});

Deno.test.each([
  { prefix: "/a/b/", wanted: "/a/b" },
  { prefix: "a//b", wanted: "/a/b" },
])("etcd reads the prefix $prefix as $wanted", async ({ prefix, wanted }) => {
  assert.equal((await configured(etcd, { ...MINIMAL, prefix })).prefix, wanted);
});

Deno.test.each([
  { endpoints: [], says: "endpoints: must be a list of host:port" },
  { endpoints: "ftp://etcd1", says: "endpoints: must be" },
  { endpoints: "etcd1:0", says: "endpoints: must be" },
  { endpoints: "etcd1:2379/path", says: "endpoints: must be" },
  { endpoints: ["https://etcd1", "http://etcd2"], says: "endpoints: must be .* all with TLS or all without" },
  { endpoints: ["https://etcd1", "etcd2"], says: "endpoints: must be" },
  { prefix: "/", says: "prefix: must be a path below the root" },
  { prefix: "/a\nb", says: "prefix: must be" },
  { username: "u", says: "Missing key password: required by username" },
  { password: "secret", says: "Missing key username: required by password" },
  { tls: { cert: "/a.pem" }, says: "Missing key tls.key: required by tls.cert" },
  { tls: { ca: "a.pem" }, says: "tls.ca: must be the absolute path of a PEM file" },
  { tls: { server_name: "a b" }, says: "tls.server_name: must be a host name" },
  { endpoints: "http://etcd1", tls: {}, says: "tls: must be absent when the endpoints use http://" },
  { session_timeout: 1, says: "session_timeout: must be a duration from 2s to 10m" },
  { api: "v4", says: "api: must be v3 or v2" },
  { hosts: "etcd1", says: "Unknown key hosts" },
])("etcd rejects $says", async ({ says, ...wrong }) => {
  const messages = (await issuesOf(etcd, { ...MINIMAL, ...wrong })).map(({ message }) => message).join("\n");
  assert.match(messages, new RegExp(says));
  assert.doesNotMatch(messages, /secret/);
});

Deno.test("etcd asks for its endpoints and the files of its TLS, and nothing else", async () => {
  const tls = { ca: "/etc/ca.pem", cert: "/etc/cert.pem", key: "/etc/key.pem", server_name: "etcd" };
  const config = await configured(etcd, { endpoints: "etcd1,etcd2", tls });
  assert.deepEqual(etcd.permissions(config, { instance: "etcd" }), {
    net: ["etcd1:2379", "etcd2:2379"],
    read: ["/etc/ca.pem", "/etc/cert.pem", "/etc/key.pem"],
  });
  assert.deepEqual(etcd.permissions(await configured(etcd, MINIMAL), { instance: "etcd" }), {
    net: ["etcd1:2379"],
  });
});
