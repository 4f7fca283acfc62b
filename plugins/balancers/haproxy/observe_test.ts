import assert from "node:assert/strict";
import fc from "fast-check";
import { haproxyConfig } from "../../../tests/support/haproxy.ts";
import { nodeDetails, observe, parseVersion, pidOf, UnreadableAnswerError } from "./observe.ts";

const CONFIG = haproxyConfig({ config_file: "/c", socket_file: "/s", pid_file: "/p" });

/** An answer of HAProxy 2.6.12, shortened. */
const ANSWERS = [
  "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nRelease_date: 2026/10/17\nPid: 6037\nUptime: 0d 0h00m00s",
  "LIGHTHOUSE_STRUCTURE=abc123",
  "# name\nb\nempty",
  [
    "1",
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr " +
    "srv_agent_addr srv_agent_port",
    "3 b 1 t0 127.0.0.1 0 1 1 1 46 8 2 0 14 0 0 0 - 1 - 0 0 - - 0",
    "3 b 24 n24 127.0.0.1 2 0 0 1 31 1 0 2 0 0 0 1 - 24 - 0 0 - - 0",
    "3 b 30 n30 127.0.0.1 0 9 1 1 25 1 0 0 2 0 0 1 - 30 - 0 0 - - 0",
    "3 b 900 six 2001:db8::7 0 5 1 1 0 1 0 0 6 0 0 1 - 82 - 0 0 - - 0",
  ].join("\n"),
  [
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,",
    "f,FRONTEND,,,0,0,9985,0,0,0,0,0,0,,,,,OPEN,,",
    "g,FRONTEND,,,0,0,9985,0,0,0,0,0,0,,,,,PAUSED,,",
    "h,FRONTEND,,,0,0,9985,0,0,0,0,0,0,,,,,STOP,,",
    "",
  ].join("\n"),
];

Deno.test("observe() reads process, structure, frontends, backends and servers", () => {
  const { running, file } = observe(
    { answers: ANSWERS, files: new Map([[CONFIG.configFile, "text"]]), masterPid: 7 },
    CONFIG,
  );
  assert.equal(file, "text");
  assert.equal(running?.pid, 6037);
  assert.deepEqual(running?.version, [2, 6, 12]);
  assert.equal(running?.structure, "abc123");
  assert.equal(running?.masterPid, 7);
  assert.deepEqual([...running?.frontends ?? []], [["f", "open"], ["g", "paused"], ["h", "shut"]]);
  assert.deepEqual([...running?.backends.keys() ?? []], ["b", "empty"]);
  assert.equal(running?.backends.get("empty")?.size, 0);
  const flags = [...running?.backends.get("b")?.values() ?? []].map((server) =>
    [
      server.name,
      server.id,
      `${server.address}:${server.port}`,
      server.inMaintenance && "maintenance",
      server.draining && "draining",
      server.check === "stopped" && "unchecked",
      server.weight !== server.givenWeight && `weight ${server.weight} of ${server.givenWeight}`,
    ].filter((part) => part !== false).join(" ")
  );
  assert.deepEqual(flags, [
    "t0 1 127.0.0.1:1 maintenance",
    "n24 24 127.0.0.1:24 weight 0 of 1",
    "n30 30 127.0.0.1:30 maintenance draining unchecked",
    "six 900 2001:db8::7:82 maintenance",
  ]);
});

Deno.test("nodeDetails() reads checks and sessions of servers, whatever a checked server answers", () => {
  const stat = [
    "# pxname,svname,qcur,scur,status,weight,check_status,check_code,check_duration,last_chk,",
    'web,a:80,0,3,UP,256,L7OK,200,1,"Layer7 check passed, really: ""200""\u0007",',
    "web,b:80,0,0,DOWN,7,* L4CON,,0,Connection refused,",
    "web,c:80,0,1,no check,1,,,,,",
    "web,e:80,0,1,DRAIN,0,,,,,",
    "web,f:80,0,0,MAINT (via x),1,,,,,",
    "web,d:80,0,0,DOWN 1/2,1,L7STS,503,2,,",
    "other,x y,0,0,UP,1,,,,,",
    "",
  ].join("\n");
  assert.deepEqual([...nodeDetails([stat])], [["web", [
    {
      node: "a:80",
      isDown: false,
      state: "ready",
      weight: 256,
      check: 'L7OK 200 in 1ms: Layer7 check passed, really: "200"?',
      sessions: 3,
    },
    { node: "b:80", isDown: true, state: "ready", weight: 7, check: "L4CON in 0ms: Connection refused", sessions: 0 },
    { node: "c:80", isDown: false, state: "ready", weight: 1, sessions: 1 },
    { node: "e:80", isDown: false, state: "drain", weight: 0, sessions: 1 },
    { node: "f:80", isDown: false, state: "maint", weight: 1, sessions: 0 },
    { node: "d:80", isDown: true, state: "ready", weight: 1, check: "L7STS 503 in 2ms", sessions: 0 },
  ]]]);
  assert.deepEqual([...nodeDetails([]), ...nodeDetails(["Unknown command"])], []);
});

Deno.test("observe() ascribes the closed frontends of a draining process to nobody", () => {
  const [info, ...rest] = ANSWERS;
  const seen = (stopping: number) => observe({ answers: [`${info}\nStopping: ${stopping}`, ...rest] }, CONFIG);
  assert.deepEqual([...seen(1).running?.frontends ?? []], []);
  assert.equal(seen(0).running?.frontends.get("h"), "shut");
});

Deno.test("observe() sees no process where nobody answers, and no mark where there is none", () => {
  assert.deepEqual(observe({ orphans: [5] }, CONFIG), { file: undefined, orphans: [5] });
  assert.equal(observe({ answers: [ANSWERS[0]!, "Variable not found", "", ""] }, CONFIG).running?.structure, undefined);
});

Deno.test("observe() rejects what does not answer as HAProxy does", () => {
  assert.throws(() => observe({ answers: ["HTTP/1.1 400 Bad Request", "", "", ""] }, CONFIG), {
    name: UnreadableAnswerError.name,
    message: /Invalid response from \/s: .* received "HTTP\/1.1 400 Bad Request"/,
  });
});

Deno.test("observe() survives any answer that names a pid", () =>
  fc.assert(fc.property(fc.array(fc.string({ unit: "binary" }), { minLength: 3, maxLength: 3 }), (rest) => {
    const damaged = rest.map((text) => ANSWERS[3]!.slice(0, ANSWERS[3]!.length - text.length) + text);
    for (const answers of [[ANSWERS[0]!, ...rest], [ANSWERS[0]!, ...damaged]]) {
      assert.equal(observe({ answers }, CONFIG).running?.pid, 6037);
    }
  })));

Deno.test("pidOf() and parseVersion() read valid values, and return undefined otherwise", () => {
  assert.equal(pidOf(ANSWERS), 6037);
  assert.equal(pidOf(["Pid: 0"]), undefined);
  assert.equal(pidOf(["Pid: x"]), undefined);
  assert.equal(pidOf([]), undefined);
  assert.deepEqual(parseVersion("3.1-dev5"), [3, 1, 0]);
  assert.equal(parseVersion("unknown"), undefined);
});
