import assert from "node:assert/strict";
import { normalize } from "node:path/posix";
import fc from "fast-check";
import type { PermissionRequest } from "./contract.ts";
import { addressesIn, decide } from "./policy.ts";
import type { PluginKind, PluginSource } from "./source.ts";

const TARGET = "10.0.0.1:80";
const BUILTIN: PluginSource = { module: "builtin:check/x", origin: "builtin" };
const FOREIGN: PluginSource = { module: "data:text/javascript,", origin: "foreign" };

/** Decides; returns the reasons of a rejection, none if everything was granted as requested. */
function refusals(
  request: PermissionRequest,
  { kind = "check", source = BUILTIN, target = TARGET }: {
    kind?: PluginKind;
    source?: PluginSource;
    target?: string | undefined;
  } = {},
): readonly string[] {
  const scope = target === "" ? { instance: "x" } : { instance: "x", target };
  const grant = decide(request, { kind, source, scope });
  if (!grant.ok) return grant.reasons;
  assert.deepEqual(grant.granted, request);
  return [];
}

Deno.test("decide() grants a check its own target, and a discovery the addresses in its config", () => {
  assert.deepEqual(refusals({ net: [TARGET] }), []);
  assert.deepEqual(refusals({ net: [TARGET] }, { source: FOREIGN }), []);
  assert.deepEqual(refusals({ net: ["[::1]:80"] }, { target: "[::1]:80" }), []);
  assert.deepEqual(refusals({ net: ["zk1.int:2181", "[::1]:2181", "unix:/run/x.sock"] }, { kind: "discovery" }), []);
  assert.deepEqual(refusals({}), []);
  assert.deepEqual(refusals({ net: [] }, { kind: "discovery", source: FOREIGN }), []);
});

Deno.test("decide() grants built-in plugins single paths, programs and variables", () => {
  const request = { read: ["/etc/ssl/ca.pem"], write: ["/var/lib/x/"], run: ["/usr/bin/x"], env: ["HOME", "_x1"] };
  assert.deepEqual(refusals(request), []);
});

Deno.test.each([
  { net: "10.0.0.2:80" },
  { net: "10.0.0.1:81" },
  { net: "localhost:80" },
  { net: "unix:/run/x.sock" },
])(
  "decide() denies a check $net, which is not its target",
  ({ net }) =>
    assert.deepEqual(refusals({ net: [TARGET, net] }), [
      `net ${JSON.stringify(net)} is not the target of the check, "10.0.0.1:80"`,
    ]),
);

Deno.test("decide() denies a check without a target any network access", () =>
  assert.deepEqual(refusals({ net: [TARGET] }, { target: "" }), [
    `net "10.0.0.1:80" is not the target of the check, undefined`,
  ]));

/** Not a single address, for any reason. */
const WIDE_ADDRESSES = [
  ...["", "*", "*:80", "10.0.0.1", "host", ":80", "host:", "host:0", "host:99999", "*.example.com:443", "h*st:80"],
  ...["10.0.0.0/8:80", "10.0.0.0/8", "host:80,other:80", "host:80 other:80", "http://host:80", "host:80/x", "::1:80"],
  ...["[::1]", "[::1]:", "[1.2.3.4]:80", "host:080", "[..]:80", "a;b:80", 'a"b:80', "a\u0000b:80", "a\nb:80"],
  ...["unix:", "unix:/", "unix://", "unix:run/x.sock", "unix:/run/../x", "unix:/./", "UNIX:/run/x"],
];

Deno.test.each(WIDE_ADDRESSES.map((net) => ({ net })))(
  "decide() denies '$net', which is not a single address",
  ({ net }) =>
    assert.match(refusals({ net: [net] }, { kind: "discovery" }).join(), /^net ".*" is not a single address/),
);

/** Not a single path, for any reason. */
const WIDE_PATHS = [
  ...[
    "",
    "/",
    "//",
    "/.",
    "/./",
    "//.",
    "/..",
    "/a/..",
    "/a/../..",
    "/a/../etc",
    "relative",
    "./x",
    "../x",
    "~",
    "~/x",
  ],
  ...["/a//b", "/a/./b", "/a\u0000b", "/a\nb", "\n/a", "C:\\", "file:///etc"],
];

Deno.test.each(WIDE_PATHS.map((path) => ({ path })))("decide() denies '$path', which is not one path", ({ path }) => {
  for (const access of ["read", "write", "run"] as const) {
    const [reason = "", ...more] = refusals({ [access]: [path] });
    assert.match(reason, new RegExp(`^${access} ".*" is not a single absolute path`));
    assert.deepEqual(more, []);
  }
});

Deno.test.each([{ env: "" }, { env: "*" }, { env: "A*" }, { env: "A B" }, { env: "A=B" }, { env: "1A" }, {
  env: "A\n",
}])(
  "decide() denies '$env', which is not the name of an environment variable",
  ({ env }) => assert.match(refusals({ env: [env] }).join(), /^env ".*" is not the name of an environment variable$/),
);

Deno.test.each(["read", "write", "run", "env"].map((access) => ({ access })))(
  "decide() denies a third-party plugin to $access, unless the operator allows it",
  ({ access }) => {
    const asked = access === "env" ? "HOME" : "/usr/bin/true";
    assert.deepEqual(refusals({ [access]: [asked] }, { source: FOREIGN }), [
      `${access} ${JSON.stringify(asked)} is not granted: allow.${access} of the plugin is empty`,
    ]);
    const allowing = (entry: string): PluginSource => ({ ...FOREIGN, name: "check/x", allow: { [access]: [entry] } });
    assert.deepEqual(refusals({ [access]: [asked] }, { source: allowing(asked) }), []);
    assert.deepEqual(refusals({ [access]: [asked] }, { source: allowing("/other") }), [
      `${access} ${JSON.stringify(asked)} is not granted: allow.${access} of check/x in plugins.yaml has "/other"`,
    ]);
  },
);

Deno.test("decide() denies a third-party discovery the network, unless the operator allows it", () => {
  for (const net of ["zk1.int:2181", "unix:/var/run/docker.sock"]) {
    assert.deepEqual(refusals({ net: [net] }, { kind: "discovery", source: FOREIGN }), [
      `net ${JSON.stringify(net)} is not granted: allow.net of the plugin is empty`,
    ]);
    assert.deepEqual(
      refusals({ net: [net] }, { kind: "discovery", source: { ...FOREIGN, allow: { net: [net] } } }),
      [],
    );
  }
});

Deno.test("decide() expands {name_servers} to those of the scope", () => {
  const source: PluginSource = { ...FOREIGN, allow: { net: ["{name_servers}"] } };
  const scope = { instance: "x", nameServers: ["10.0.0.2:53"] };
  assert.ok(decide({ net: ["10.0.0.2:53"] }, { kind: "discovery", source, scope }).ok);
  assert.ok(!decide({ net: ["10.0.0.3:53"] }, { kind: "discovery", source, scope }).ok);
  assert.ok(!decide({ net: ["10.0.0.2:53"] }, { kind: "discovery", source, scope: { instance: "x" } }).ok);
});

Deno.test("decide() expands {config} to the addresses in the instance's own config", () => {
  const source: PluginSource = { ...FOREIGN, allow: { net: ["{config}"] } };
  const decided = (net: string) =>
    decide({ net: [net] }, { kind: "discovery", source, scope: { instance: "x" }, config: { hosts: ["a:1", "b:2"] } })
      .ok;
  assert.deepEqual(["a:1", "b:2", "a:2", "c:1"].map(decided), [true, true, false, false]);
});

Deno.test("decide() grants a third-party check its target unless the operator sets net", () => {
  const source = (allow: PluginSource["allow"]): PluginSource => ({ ...FOREIGN, allow });
  assert.deepEqual(refusals({ net: [TARGET] }, { source: source({ read: ["/etc/x"] }) }), []);
  assert.deepEqual(refusals({ net: [TARGET, "b:2"] }, { source: source({ net: ["{target}", "b:2"] }) }), []);
  assert.equal(refusals({ net: [TARGET] }, { source: source({ net: [] }) }).length, 1);
});

Deno.test("decide() grants everything in an allowed directory, and nothing beside it", () => {
  const source: PluginSource = { ...FOREIGN, allow: { read: ["/etc/ssl/"] } };
  for (const path of ["/etc/ssl", "/etc/ssl/", "/etc/ssl/a/b.pem"]) {
    assert.deepEqual(refusals({ read: [path] }, { source }), []);
  }
  for (const path of ["/etc", "/etc/ssl2", "/etc/ssl/../shadow"]) {
    assert.equal(refusals({ read: [path] }, { source }).length, 1, path);
  }
  assert.equal(refusals({ write: ["/etc/ssl"] }, { source }).length, 1);
});

Deno.test.each([
  { config: { url: "http://a:80/path?x" }, found: ["a:80"] },
  { config: { url: "https://user:password@[::1]:443" }, found: ["[::1]:443"] },
  { config: ["zk1:2181,zk2:2181/chroot, zk3:2181"], found: ["zk1:2181", "zk2:2181", "zk3:2181"] },
  { config: { a: { host: "a", port: 80 }, b: { host: "::1", port: "81" } }, found: ["a:80", "[::1]:81"] },
  { config: { path: "unix:/run/x.sock" }, found: ["unix:/run/x.sock"] },
  { config: { text: "no address here", port: 80, host: "a:b" }, found: [] },
  { config: null, found: [] },
])(
  "addressesIn() finds $found",
  ({ config, found }) => assert.deepEqual([...addressesIn(config)].toSorted(), found.toSorted()),
);

Deno.test("decide() returns all reasons at once", () =>
  assert.equal(refusals({ net: ["*", "a:1"], read: ["/"], env: ["*"] }, { source: FOREIGN }).length, 4));

Deno.test("decide() grants no wide permission, whatever is requested", () => {
  const path = fc.oneof(
    fc.constantFrom(...WIDE_PATHS),
    fc.stringMatching(/^(\/(\.|\.\.|a|)){0,5}$/),
    fc.string({ unit: "binary" }),
  );
  const net = fc.oneof(
    fc.constantFrom(...WIDE_ADDRESSES, TARGET),
    fc.stringMatching(/^[a-z*.\[\]:0-9/, ]{0,12}:[0-9*]{0,5}$/),
    path.map((path) => `unix:${path}`),
  );
  const request = fc.record({
    net: fc.array(net, { maxLength: 2 }),
    read: fc.array(path, { maxLength: 2 }),
    write: fc.array(path, { maxLength: 1 }),
    run: fc.array(path, { maxLength: 1 }),
    env: fc.array(fc.oneof(fc.string(), fc.constantFrom("*", "HOME", "A*")), { maxLength: 1 }),
  }, { requiredKeys: [] });
  const kind = fc.constantFrom<PluginKind>("check", "discovery");
  fc.assert(
    fc.property(request, kind, fc.constantFrom(BUILTIN, FOREIGN), (request, kind, source) => {
      if (refusals(request, { kind, source }).length > 0) return;
      const sockets = (request.net ?? []).filter((net) => net.startsWith("unix:")).map((net) => net.slice(5));
      for (const granted of [...request.read ?? [], ...request.write ?? [], ...request.run ?? [], ...sockets]) {
        assert.equal(normalize(granted), granted);
        assert.notEqual(granted.replaceAll("/", ""), "");
      }
      for (const net of request.net ?? []) assert.doesNotMatch(net, /[*\s,]|\/\d/);
      for (const env of request.env ?? []) assert.doesNotMatch(env, /[*\s=]/);
      if (kind === "check") assert.ok((request.net ?? []).every((net) => net === TARGET));
      if (source === FOREIGN) {
        const { net = [], read = [], write = [], run = [], env = [] } = request;
        assert.deepEqual([...read, ...write, ...run, ...env, ...kind === "check" ? [] : net], []);
      }
    }),
    { numRuns: 500 },
  );
});
