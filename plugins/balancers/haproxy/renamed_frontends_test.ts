import assert from "node:assert/strict";
import { wantedOf } from "../../../tests/support/balancer_case.ts";
import { render } from "./render.ts";

const TABLE = "stick-table type ip size 1k store conn_rate(10s)";

/** The notices about lines of a cluster beside `web`, with a version of HAProxy. */
function told(
  line: string,
  { version = "3.4.7", frontend = [TABLE], backend = [], leftOut = false }: {
    readonly version?: string;
    readonly frontend?: readonly string[];
    readonly backend?: readonly string[];
    readonly leftOut?: boolean;
  } = {},
) {
  const wanted = wantedOf({
    version,
    balancer: { directives: "all" },
    clusters: [
      { name: "api", haproxy: { port: 8001, backend: ["mode http", line] } },
      { name: "web", haproxy: { port: 8000, frontend: [...frontend], backend: [...backend] } },
    ],
  });
  const out = leftOut ? { leftOut: [{ cluster: "api", path: ["backend", 1] }] } : {};
  return render({ ...wanted, ...out }).notices.filter(({ text }) => /refers to frontend/.test(text));
}

Deno.test.each([
  "http-request track-sc0 src table web",
  "http-request deny if { src_conn_rate(web) gt 10 }",
  "http-request deny if { sc_conn_rate(0,web) gt 10 }",
  "http-request deny if { sc0_conn_rate(web) gt 10 }",
  "http-request deny if { src,in_table(web) }",
  "http-request deny if { src,table_conn_rate(web) gt 10 }",
  "http-request deny if { fe_conn(web) gt 10 }",
])("a line that names the frontend of a cluster gets a notice with its new name from HAProxy 3.1 on: %s", (line) => {
  const text =
    `backend api: line ${JSON.stringify(line)} refers to frontend web, which is named web:in since HAProxy 3.1; ` +
    "use web:in";
  const notice = { text, origin: { cluster: "api", path: ["backend", 1] } };
  assert.deepEqual(told(line), [notice]);
  assert.deepEqual(told(line, { leftOut: true }), [notice], "also for a line that HAProxy has rejected");
  assert.deepEqual(told(line, { version: "3.0.11" }), []);
});

Deno.test.each([
  { line: "http-request track-sc0 src table web", given: { frontend: [], backend: [TABLE] } },
  { line: "http-request track-sc0 src table website", given: {} },
  { line: "http-request track-sc0 src table web:in", given: {} },
  { line: "http-request deny if { nbsrv(web) lt 1 }", given: {} },
  { line: "http-request deny if { be_conn(web) gt 10 }", given: {} },
  { line: "http-request deny if { fe_conn(website) gt 10 }", given: {} },
])("a line that means something else gets no notice: $line", ({ line, given }) => {
  assert.deepEqual(told(line, given), []);
});
