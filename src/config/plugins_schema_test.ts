import assert from "node:assert/strict";
import { readPlugins } from "./plugins_schema.ts";

const HASH = "0123456789abcdef".repeat(4);

/** Reads an entry of `checks`; answers what there is to say of it. */
function findingsOf(entry: unknown, section = "checks"): readonly string[] {
  return readPlugins({ [section]: { memcached: entry } }).findings.map(({ path, message }) =>
    `${path.join(".")}: ${message}`
  );
}

Deno.test("readPlugins() reads the entries of each kind", () => {
  const { value, findings } = readPlugins({
    checks: {
      memcached: {
        url: "https://example.com/mod.ts",
        sha256: HASH,
        allow: { net: ["{target}", "a:1"], read: ["/etc/x"] },
      },
    },
    discovery: {
      consul: { url: "plugins/consul.ts", allow: { net: ["{config}", "unix:/run/x.sock"], env: ["TOKEN"] } },
    },
    balancers: { nginx: { url: "file:///opt/nginx.js" } },
  });
  assert.deepEqual(findings, []);
  assert.deepEqual([...value?.keys() ?? []], ["check/memcached", "discovery/consul", "balancer/nginx"]);
  assert.deepEqual(value?.get("check/memcached"), {
    kind: "check",
    section: "checks",
    name: "memcached",
    url: "https://example.com/mod.ts",
    sha256: HASH,
    allow: { net: ["{target}", "a:1"], read: ["/etc/x"] },
  });
});

Deno.test("readPlugins() accepts an empty file, and empty sections", () => {
  for (const raw of [null, {}, { checks: null, discovery: {} }]) {
    const { value, findings } = readPlugins(raw);
    assert.deepEqual([findings, value?.size], [[], 0]);
  }
});

Deno.test.each([
  { url: "http://127.0.0.1:8000/mod.ts" },
  { url: "http://localhost/mod.ts" },
  { url: "http://[::1]:8000/mod.ts" },
  { url: "HTTPS://example.com/mod.ts" },
  { url: "http://example.com/mod.ts", insecure: true },
])("readPlugins() accepts $url", (entry) => assert.deepEqual(findingsOf({ ...entry, sha256: HASH }), []));

Deno.test.each([
  {
    url: "http://example.com/mod.ts",
    fault: /^checks\.memcached\.url: .*http: requires a loopback host or insecure: true/,
  },
  { url: "http://127.0.0.1.example.com/mod.ts", fault: /requires a loopback host/ },
  { url: "http://localhost.example.com/mod.ts", fault: /requires a loopback host/ },
  {
    url: "npm:memcached",
    fault: /must be an https:, http: or file: URL, or a path; current value is "npm:memcached"/,
  },
  { url: "data:text/javascript,1", fault: /must be an https:/ },
  { url: "https://user:password@example.com/mod.ts", fault: /without user name and password/ },
  { url: "https://", fault: /a valid URL/ },
  { url: "file://server/mod.ts", fault: /a local file: URL/ },
  { url: "two words.ts", fault: /without spaces/ },
  { url: 1, fault: /a URL/ },
])("readPlugins() rejects $url", ({ url, fault }) => assert.match(findingsOf({ url, sha256: HASH }).join(), fault));

Deno.test("readPlugins() requires a hash for a URL, and names the command that writes it", () => {
  assert.deepEqual(findingsOf({ url: "https://example.com/mod.ts" }), [
    "checks.memcached: Missing key checks.memcached.sha256: must be the approved hash of the downloaded plugin; " +
    "run lighthouse plugin update memcached",
  ]);
  assert.deepEqual(findingsOf({ url: "./mod.ts" }), []);
  assert.match(findingsOf({ url: "./mod.ts", sha256: "3f" }).join(), /sha256: must be 64 lowercase hexadecimal digits/);
});

Deno.test.each([
  { allow: { net: ["*"] }, fault: /allow\.net\[0\]: must be \{target\}, host:port or unix:\/path/ },
  { allow: { net: ["{config}"] }, fault: /allow\.net\[0\]/ },
  { allow: { net: true }, fault: /a list/ },
  { allow: { read: ["/"] }, fault: /an absolute path/ },
  { allow: { read: ["/a/../b"] }, fault: /an absolute path/ },
  { allow: { run: ["curl"] }, fault: /an absolute path/ },
  { allow: { env: ["*"] }, fault: /the name of an environment variable/ },
  { allow: { ffi: ["/x"] }, fault: /Unknown key checks\.memcached\.allow\.ffi/ },
])(
  "readPlugins() rejects allow: $allow",
  ({ allow, fault }) => assert.match(findingsOf({ url: "./mod.ts", allow }).join(), fault),
);

Deno.test.each([
  { allow: { net: ["127.0.0.1:80"] }, fault: /allow\.net\[0\]: must be unix:\/path/ },
  { allow: { net: ["unix:/run/../x"] }, fault: /allow\.net\[0\]/ },
  { allow: { run: ["nginx"] }, fault: /an absolute path/ },
  { allow: { env: ["HOME"] }, fault: /Unknown key balancers\.memcached\.allow\.env/ },
])(
  "readPlugins() rejects allow: $allow of a balancer",
  ({ allow, fault }) => assert.match(findingsOf({ url: "./mod.ts", allow }, "balancers").join(), fault),
);

Deno.test("readPlugins() accepts files, sockets and programs of a balancer", () => {
  const allow = {
    net: ["unix:/run/nginx.sock"],
    read: ["/etc/nginx"],
    write: ["/etc/nginx"],
    run: ["/usr/sbin/nginx"],
  };
  assert.deepEqual(findingsOf({ url: "./mod.ts", allow }, "balancers"), []);
});

Deno.test("readPlugins() rejects invalid names", () => {
  for (const name of ["Memcached", "a b", "", "1a", "-a", "a/b", "a".repeat(64)]) {
    const { value, findings } = readPlugins({ checks: { [name]: { url: "./mod.ts" } } });
    assert.equal(value, undefined, name);
    assert.match(findings[0]?.message ?? "", /^Cannot use the name /);
  }
});
