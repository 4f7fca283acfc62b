import assert from "node:assert/strict";
import { isGuard, reachesBeyond } from "./directives.ts";

Deno.test.each([
  { line: "healthcheck foo", beyond: true },
  { line: "  listen more", beyond: true },
  { line: '"backend" more', beyond: true },
  { line: "crt-store more", beyond: true },
  { line: ".if defined(X)", beyond: true },
  { line: "option httpchk GET /healthcheck", beyond: false },
  { line: "default_backend more", beyond: false },
  { line: "# healthcheck foo", beyond: false },
])("reachesBeyond() returns $beyond for $line", ({ line, beyond }) => {
  assert.equal(reachesBeyond(line), beyond);
});

Deno.test.each([
  { line: "http-request deny if { path_beg /admin }", guards: true },
  { line: "http-request return status 403 if { path_beg /admin }", guards: true },
  { line: "http-request redirect scheme https", guards: true },
  { line: "redirect scheme https if !{ ssl_fc }", guards: true },
  { line: "http-request del-header X-Forwarded-User", guards: true },
  { line: "http-request set-var(txn.bad) src,map_ip(/x)", guards: true },
  { line: "http-request track-sc0 src", guards: true },
  { line: "http-request lua.check", guards: true },
  { line: "http-response set-header Strict-Transport-Security max-age=1", guards: true },
  { line: "tcp-request content reject if !HTTP", guards: true },
  { line: "tcp-request inspect-delay 5s", guards: true },
  { line: "filter spoe engine waf config /etc/waf.conf", guards: true },
  { line: "server a 10.0.0.1:443 ssl verify required", guards: true },
  { line: "http-request capture req.hdr(Host) len 10", guards: false },
  { line: "http-request set-log-level silent", guards: false },
  { line: "http-request cache-use web", guards: false },
  { line: "filter compression", guards: false },
  { line: "option httplog", guards: false },
  { line: "timeout server 5s", guards: false },
])("isGuard() returns $guards for $line", ({ line, guards }) => {
  assert.equal(isGuard(line), guards);
});
