import assert from "node:assert/strict";
import { type CaseWanted, wantedOf } from "../../../tests/support/balancer_case.ts";
import { explain } from "./explain.ts";
import { render } from "./render.ts";

const GIVEN: CaseWanted = {
  balancer: {
    global: ["daemon"],
    defaults: ["mode http"],
    bind_address: "127.0.0.1",
    meta_clusters: { api: { port: 8888 } },
    proxies: {
      partner: { port: 1100, bind_address: "[::1]", upstreams: [], options: ["mode http", "http-request deny if x"] },
    },
  },
  clusters: [
    {
      name: "web",
      meta_cluster: "api",
      haproxy: {
        port: 8000,
        acl: "path_beg /web",
        frontend: ["default_backend nix", "use_backend foo if TRUE"],
        backend: ["mode tcp", "stick-table type ip size 1k peers web", "stick on src", "http-request deny if x"],
        server_options: "check inter soon",
      },
      nodes: ["a.int:80 10.0.0.1"],
    },
    { name: "tls", haproxy: { server_options: "ssl verify nothing" }, nodes: ["a.int:80 10.0.0.1"] },
    { name: "quiet", haproxy: { port: 8005 } },
  ],
};
const rendered = render(wantedOf(GIVEN));

/** The number of the first line that contains a text. */
function lineWith(part: string): number {
  return rendered.text.split("\n").findIndex((line) => line.includes(part)) + 1;
}

/** HAProxy's message about the first line that contains a text. */
function parsing(part: string): string {
  return `[ALERT]    (7) : config : parsing [/h.cfg:${lineWith(part)}] : bad`;
}

Deno.test.each([
  {
    why: "a line of a backend",
    output: parsing("mode tcp"),
    cluster: "web",
    origin: { cluster: "web", path: ["backend", 0] },
    remedy: [{ cluster: "web", path: ["backend", 0] }],
  },
  {
    why: "a meta cluster's choice of a cluster",
    output: parsing("acl is_web"),
    cluster: "web",
    origin: { cluster: "web", path: ["acl"] },
    remedy: [{ cluster: "web", path: ["acl"] }],
  },
  {
    why: "the options of servers",
    output: `[ALERT] (7) : config : [/h.cfg:${lineWith("inter soon")}] : 'server web/a.int:80' : unexpected character`,
    cluster: "web",
    origin: { cluster: "web", path: ["server_options"] },
    remedy: [{ cluster: "web", path: ["server_options"] }],
  },
  {
    why: "the options of servers that are spoken to in TLS: never in clear",
    output: `[ALERT] (7) : config : [/h.cfg:${lineWith("verify nothing")}] : 'server tls/a.int:80' : unknown verify`,
    cluster: "tls",
    origin: { cluster: "tls", path: ["server_options"] },
    remedy: [],
  },
  {
    why: "a line that keeps requests out of a cluster: never without it",
    output: parsing("\thttp-request deny if x"),
    cluster: "web",
    origin: { cluster: "web", path: ["backend", 3] },
    remedy: [],
  },
  {
    why: "a port that HAProxy could not bind",
    output: `[ALERT] (7) : Binding [/h.cfg:${
      lineWith(":8005")
    }] for frontend quiet: cannot bind socket (in use) for [127.0.0.1:8005]`,
    cluster: "quiet",
    origin: { cluster: "quiet", path: ["port"] },
    remedy: [],
  },
  {
    why: "an address that the host found taken",
    output: "Reload aborted: cannot bind 127.0.0.1:8005: address already in use",
    cluster: "quiet",
    origin: { cluster: "quiet", path: ["port"] },
    remedy: [],
  },
  {
    why: "an address of a proxy that the host found taken",
    output: "Reload aborted: cannot bind [::1]:1100: address already in use",
    cluster: undefined,
    origin: { path: ["proxies", "partner", "port"] },
    remedy: [{ path: ["proxies", "partner"] }],
  },
  {
    why: "the address of peers that the host found taken",
    output: "Reload aborted: cannot bind 10.0.9.9:1024: address already in use",
    cluster: undefined,
    origin: { cluster: "web", path: ["backend", 1] },
    remedy: [{ cluster: "web", path: ["backend", 1] }],
  },
  {
    why: "a proxy with a name that another section has",
    output: `[ALERT] (7) : config : parsing [/h.cfg:${
      lineWith("listen partner")
    }] : proxy 'partner' has the same name as frontend 'partner' declared at /h.cfg:9.`,
    cluster: undefined,
    origin: { path: ["proxies", "partner", "port"] },
    remedy: [{ path: ["proxies", "partner"] }],
  },
  {
    why: "a cluster with a name that another section has",
    output: `[ALERT] (7) : config : parsing [/h.cfg:${
      lineWith("frontend quiet")
    }] : frontend 'quiet' has the same name as frontend 'quiet' declared at /h.cfg:9.`,
    cluster: "quiet",
    origin: { cluster: "quiet", path: ["port"] },
    remedy: [],
  },
  {
    why: "a line of global",
    output: parsing("\tdaemon"),
    cluster: undefined,
    origin: { path: ["global", 0] },
    remedy: [{ path: ["global", 0] }],
  },
  {
    why: "a line that is our own",
    output: parsing("stats timeout"),
    cluster: undefined,
    origin: undefined,
    remedy: [],
  },
  {
    why: "a backend that a frontend names without a line",
    output: "[ALERT] (7) : config : Proxy 'web': unable to find required use_backend: 'foo'.",
    cluster: "web",
    origin: { cluster: "web", path: ["frontend", 1] },
    remedy: [{ cluster: "web", path: ["frontend", 1] }],
  },
  {
    why: "a table that is not there",
    output: "[ALERT] (7) : config : Proxy 'web': unable to find stick-table 'web'.",
    cluster: "web",
    origin: { cluster: "web", path: ["backend", 2] },
    remedy: [{ cluster: "web", path: ["backend", 2] }],
  },
  {
    why: "a proxy that is named without a line",
    output: "[ALERT] (7) : config : Proxy 'quiet': something is wrong.",
    cluster: "quiet",
    origin: { cluster: "quiet", path: [] },
    remedy: [],
  },
  {
    why: "a proxy of the balancer's own file that is named without a line",
    output: "[ALERT] (7) : config : Proxy 'partner': something is wrong.",
    cluster: undefined,
    origin: { path: ["proxies", "partner"] },
    remedy: [],
  },
  {
    why: "a meta cluster's frontend that is named without a line",
    output: "[ALERT] (7) : config : frontend 'api' has no 'bind' directive.",
    cluster: undefined,
    origin: { path: ["meta_clusters", "api"] },
    remedy: [],
  },
  {
    why: "frontends and backends that do not go together",
    output:
      "[ALERT] (7) : config : http frontend 'api' (/h.cfg:12) tries to use incompatible tcp backend 'web' (/h.cfg:40) in a 'use_backend' rule (see 'mode').",
    cluster: "web",
    origin: { cluster: "web", path: ["acl"] },
    remedy: [{ cluster: "web", path: ["acl"] }],
  },
  {
    why: "a frontend and its default backend that do not go together",
    output:
      "[ALERT] (7) : config : http frontend 'web' (/h.cfg:12) tries to use incompatible tcp backend 'web' (/h.cfg:40) as its default backend (see 'mode').",
    cluster: "web",
    origin: { cluster: "web", path: [] },
    remedy: [],
  },
])("explain() interprets $why", ({ output, cluster, origin, remedy }) => {
  const found = explain(rendered, output);
  assert.equal(found.cluster, cluster);
  const [fault] = found.faults;
  assert.deepEqual({ origin: fault?.origin, remedy: fault?.remedy }, { origin, remedy });
});

Deno.test("explain() attributes each warning to the section that it names, and a log format to the line that sets it", () => {
  const rendered = render(wantedOf({
    clusters: [
      { name: "api", haproxy: { port: 8001, backend: ["mode http", "maxconn 500"] } },
      { name: "web", haproxy: { port: 8000, frontend: ["mode http", "option httplog"] } },
    ],
  }));
  const maxconn = rendered.text.split("\n").indexOf("\tmaxconn 500") + 1;
  const { faults } = explain(
    rendered,
    [
      `[WARNING]  (7) : config : parsing [/h.cfg:${maxconn}] : 'maxconn' ignored because backend 'api' has no frontend capability.`,
      "[WARNING]  (7) : config : log format ignored for frontend 'web' since it has no log address.",
      "[WARNING]  (7) : config : missing timeouts for frontend 'web'.",
      "[WARNING]  (7) : config : missing timeouts for backend 'web'.",
    ].join("\n"),
  );
  assert.deepEqual(faults.map(({ origin }) => origin), [
    { cluster: "api", path: ["backend", 1] },
    { cluster: "web", path: ["frontend", 1] },
    { cluster: "web", path: [] },
    { cluster: "web", path: [] },
  ]);
});

Deno.test("explain() attributes a file that cannot be loaded to the lines that use it", () => {
  const server_options = "ssl verify required ca-file /etc/a.pem";
  const rendered = render(wantedOf({
    clusters: [
      { name: "api", haproxy: { server_options }, nodes: ["a.int:80 10.0.0.1"] },
      { name: "web", haproxy: { backend: ["mode tcp", "default-server ssl ca-file b.pem"] } },
    ],
  }));
  const lines = rendered.text.split("\n");
  const at = (part: string) => `[/h.cfg:${lines.findIndex((line) => line.includes(part)) + 1}]`;
  const { faults } = explain(
    rendered,
    [
      "[ALERT] (7) : config : 'ca-file' : unable to load /etc/ssl/b.pem.",
      `[ALERT] (7) : config : parsing ${
        at("b.pem")
      } : Couldn't open the ca-file '/etc/ssl/b.pem' (No such file or directory).`,
      "[ALERT] (7) : config : 'ca-file' : unable to load /etc/a.pem.",
      `[ALERT] (7) : config : ${at("a.pem")} : 'server api/a.int:80' : Couldn't open the ca-file '/etc/a.pem'.`,
    ].join("\n"),
  );
  assert.deepEqual(faults.map(({ origin }) => origin), [
    { cluster: "web", path: ["backend", 1] },
    { cluster: "api", path: ["server_options"] },
  ]);
});

Deno.test("explain() leaves a proxy out as a whole where the line restricts requests", () => {
  const lines = rendered.text.split("\n");
  const line = lines.lastIndexOf("\thttp-request deny if x") + 1;
  const { faults } = explain(rendered, `[ALERT] (7) : config : parsing [/h.cfg:${line}] : no such ACL : 'x'.`);
  assert.deepEqual(faults[0]?.remedy, [{ path: ["proxies", "partner"] }]);
});

Deno.test("explain() reports each fault once, with the line that is meant", () => {
  const { faults } = explain(
    rendered,
    [
      `[NOTICE]   (7) : version`,
      parsing("mode tcp"),
      parsing("mode tcp"),
      parsing("\tdaemon"),
      `[ALERT] (7) : config : parsing [/h.cfg:${lineWith("stats timeout")}] : 'pidfile' already specified. Continuing.`,
      "[ALERT] (7) : config : Failed to initialize server(s) addr.",
      "[ALERT] (7) : config : Error(s) found in configuration file : /h.cfg",
      // How `-D` ends from HAProxy 3.2 on.
      "[ALERT]    (27205) : Process 27206 exited with code 1 (Exit)",
    ].join("\n"),
  );
  assert.deepEqual(faults.map(({ message }) => message), [
    `bad ("mode tcp")`,
    `bad ("daemon")`,
  ]);
});
