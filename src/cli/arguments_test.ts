import assert from "node:assert/strict";
import { type Arguments, readArguments } from "./arguments.ts";

/** Parses a command line; `undefined` if its usage is wrong. */
function parsed(line: string): Arguments | undefined {
  return readArguments(line.split(" ").filter((word) => word !== ""));
}

/** The arguments of `check` and `plan` by default. */
const CHECK = { host: undefined, ip: undefined, strict: false, json: false, ignoresNames: false, candidates: [] };
const PLAN = {
  dir: "DIR",
  logLevel: undefined,
  logFormat: "auto",
  host: undefined,
  ip: undefined,
  peerPort: undefined,
};

/** The arguments of `writer DIR`, `reporter DIR` and `run DIR`. */
const SERVING = {
  admin: undefined,
  adminTokens: undefined,
  adminTlsCert: undefined,
  adminTlsKey: undefined,
  lifecycle: undefined,
};
const DAEMON = { ...PLAN, status: undefined, ...SERVING };
/** The arguments that the writer has besides. */
const WRITER = { ...DAEMON, once: false, noReload: false, timeoutMs: 60_000 };

/** The connection arguments of operator commands by default. */
const OPERATOR = { admin: undefined, tokenFile: undefined, ca: undefined, timeoutMs: 30_000, json: false };

/** The arguments of `store` with only its directory. */
const STORE = {
  bind: { host: "localhost", port: 8001 },
  advertise: undefined,
  seeds: [],
  loadLimit: "-7 days",
  removeLimit: "-7 days",
  bootstrap: false,
  bootstrapLimit: "+2 minutes",
  tokens: undefined,
  peerToken: undefined,
  peerCa: undefined,
  tlsCert: undefined,
  tlsKey: undefined,
  tlsClientCa: undefined,
  insecure: false,
  maxConnections: undefined,
  logLevel: undefined,
  logFormat: "auto",
};

Deno.test.each([
  { line: "writer DIR", then: { command: "writer", ...WRITER } },
  { line: "reporter DIR", then: { command: "reporter", ...DAEMON } },
  { line: "run DIR", then: { command: "run", ...DAEMON } },
  {
    line: "run --log-level debug DIR --log-format=json --host a.int --ip 10.0.0.1 --peer-port 1025",
    then: {
      command: "run",
      dir: "DIR",
      logLevel: "debug",
      logFormat: "json",
      host: "a.int",
      ip: "10.0.0.1",
      peerPort: 1025,
      status: undefined,
      ...SERVING,
    },
  },
  {
    line: "writer DIR --status 127.0.0.1:9180",
    then: { command: "writer", ...WRITER, status: { host: "127.0.0.1", port: 9180 } },
  },
  {
    line: "reporter --status=unix:/run/lighthouse/reporter.sock DIR",
    then: { command: "reporter", ...DAEMON, status: { path: "/run/lighthouse/reporter.sock" } },
  },
  {
    line: "nodes DIR web --others --one --wait 2 --timeout 1m --source etcd",
    then: {
      command: "nodes",
      dir: "DIR",
      cluster: "web",
      source: "etcd",
      watch: false,
      json: false,
      format: undefined,
      others: true,
      one: true,
      wait: 2,
      timeoutMs: 60_000,
      host: undefined,
      ip: undefined,
    },
  },
  {
    line: "register DIR etcd web [fd00::5]:80 --check http:uri=/a,b,rise=2 --ttl 5s -- sh -c --ttl",
    then: {
      command: "register",
      dir: "DIR",
      discovery: "etcd",
      cluster: "web",
      address: { host: "fd00::5", port: 80 },
      name: undefined,
      format: undefined,
      ttlMs: 5_000,
      metadata: {},
      checks: [{ type: "http", config: { uri: "/a,b", rise: 2 } }],
      logLevel: "warning",
      run: ["sh", "-c", "--ttl"],
    },
  },
  {
    line: "bridge DIR --from zookeeper/web --to etcd/web --write --watch",
    then: {
      command: "bridge",
      dir: "DIR",
      from: { discovery: "zookeeper", cluster: "web" },
      to: { discovery: "etcd", cluster: "web" },
      write: true,
      watch: true,
      removeOthers: false,
      timeoutMs: 10_000,
      logLevel: "info",
    },
  },
  { line: "writer DIR --ip ::1", then: { command: "writer", ...WRITER, ip: "::1" } },
  {
    line: "check DIR --no-resolve --file services/web.yaml=/tmp/a=b --file host.yml=c",
    then: {
      command: "check",
      dir: "DIR",
      ...CHECK,
      ignoresNames: true,
      candidates: [{ name: "services/web.yaml", path: "/tmp/a=b" }, { name: "host.yml", path: "c" }],
    },
  },
  { line: "check DIR", then: { command: "check", dir: "DIR", ...CHECK } },
  { line: "check --strict --json DIR", then: { command: "check", dir: "DIR", ...CHECK, strict: true, json: true } },
  { line: "plan DIR", then: { command: "plan", ...PLAN, waitMs: 5_000 } },
  { line: "plan DIR --wait 30", then: { command: "plan", ...PLAN, waitMs: 30_000 } },
  { line: "plan DIR --wait 500ms", then: { command: "plan", ...PLAN, waitMs: 500 } },
  {
    line: "store --data.d DIR",
    then: { command: "store", dataDir: "DIR", ...STORE },
  },
  {
    line: "store --data.d=DIR --bind=[::1]:9 --seeds=a.int:1,10.0.0.1:2 --bootstrap --insecure",
    then: {
      command: "store",
      dataDir: "DIR",
      ...STORE,
      bind: { host: "::1", port: 9 },
      seeds: ["a.int:1", "10.0.0.1:2"],
      bootstrap: true,
      insecure: true,
      maxConnections: undefined,
    },
  },
  {
    line: "store put --raw -p /a%2Fb/c text --wait 5 --at [::1]",
    then: {
      command: "store",
      action: "put",
      path: ["a/b", "c"],
      value: "text",
      raw: true,
      parents: true,
      waitMs: 5_000,
      at: { host: "::1", port: 8001 },
      tokenFile: undefined,
      ca: undefined,
    },
  },
  {
    line: "store import - --token-file T --ca C --yes",
    then: {
      command: "store",
      action: "import",
      file: "-",
      path: [],
      yes: true,
      waitMs: 30_000,
      at: { host: "localhost", port: 8001 },
      tokenFile: "T",
      ca: "C",
    },
  },
  {
    line: "drain DIR web web01.test:80 --for 1h --reason update --force",
    then: {
      command: "operator",
      verb: "drain",
      dir: "DIR",
      what: "web",
      target: "web01.test:80",
      local: false,
      deregister: false,
      wait: false,
      waitMs: 600_000,
      force: true,
      author: undefined,
      reason: "update",
      forMs: 3_600_000,
      ...OPERATOR,
    },
  },
  {
    line: "weight DIR web [::1]:80 50% --author bob --json",
    then: {
      command: "operator",
      verb: "weight",
      dir: "DIR",
      cluster: "web",
      target: "[::1]:80",
      percent: 50,
      force: false,
      author: "bob",
      reason: undefined,
      forMs: undefined,
      ...OPERATOR,
      json: true,
    },
  },
  {
    line: "pause DIR --for 30m --reason upgrade --admin unix:/run/w.sock",
    then: {
      command: "operator",
      verb: "pause",
      dir: "DIR",
      balancer: undefined,
      author: undefined,
      reason: "upgrade",
      forMs: 1_800_000,
      ...OPERATOR,
      admin: { path: "/run/w.sock" },
    },
  },
  { line: "check -- --strict", then: { command: "check", dir: "--strict", ...CHECK } },
])("readArguments() reads `$line`", ({ line, then }) => {
  const { ...value } = parsed(line);
  assert.deepEqual(value, then);
});

Deno.test.each([
  ...["", "DIR", "nothing DIR", "writer", "check", "check A B", "check --strict=1 DIR", "check --wait 5 DIR"],
  ...["writer --log-level loud DIR", "writer --log-format xml DIR", "writer --strict DIR", "writer --host DIR"],
  ...[
    "plan --wait 0 DIR",
    "plan --wait 601 DIR",
    "plan --wait 1.5x DIR",
    "plan --wait x DIR",
    "Check DIR",
    "run DIR DIR",
  ],
  ...["run DIR --host a;b", "run DIR --host -a", "run DIR --ip a.int", "run DIR --ip 10.0.0.256", "run DIR --ip [::1]"],
  ...["store", "store DIR", "store --data.d DIR --bind a:b:c", "store --data.d DIR --load-limit soon"],
  ...["store put", "store put /%FF 1", "store get a b", "store get --at a:b:c", "store edit --raw", "store import"],
  ...["run DIR --peer-port 0", "run DIR --peer-port 65536", "check DIR --peer-port 1024"],
  ...[
    "run DIR --status 9180",
    "run DIR --status localhost",
    "run DIR --status unix:run.sock",
    "plan DIR --status [::1]:1",
  ],
  ...["drain", "drain DIR web a;b", "drain DIR web a.test --for 0s", "weight DIR web a.test 1001%"],
  ...["pause DIR --for 30m", "pause DIR --reason work", "pause DIR --for 8d --reason work", "undrain DIR a b c"],
  ...["nodes DIR", "nodes DIR ../web", "nodes DIR web --wait 0", "nodes DIR web --format {nothing}"],
  ...[
    "register DIR etcd web 10.0.0.5:80",
    "register DIR etcd web 10.0.0.5 -- a",
    "register DIR etcd web a.int:80 -- a",
  ],
  ...["register DIR ../etcd web 10.0.0.5:80 -- a", "register DIR etcd web 10.0.0.5:80 --check http:uri -- a"],
  ...["bridge DIR", "bridge DIR --from etcd --to file/web", "bridge DIR --from etcd/../web --to file/web"],
  "check DIR --file services/web=/tmp/a",
  "check DIR --file plugins/a.yaml=/tmp/a",
  "check DIR --file ../a.yaml=/tmp/a",
].map((line) => ({ line })))("readArguments() rejects `$line`", ({ line }) => assert.equal(parsed(line), undefined));
