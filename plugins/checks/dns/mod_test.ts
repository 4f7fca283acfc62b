import assert from "node:assert/strict";
import { configured, issuesOf, probe, reasonOf } from "../../../tests/support/probe.ts";
import dns from "./mod.ts";

Deno.test.each([
  { raw: {}, message: /^Missing key name: must be a domain name/ },
  { raw: { name: "a..b" }, message: /^Cannot use name: must be a domain name.*current value is "a..b"$/ },
  { raw: { name: "a b" }, message: /^Cannot use name/ },
  { raw: { name: `${"x".repeat(64)}.example` }, message: /^Cannot use name: must be .* at most 63 characters/ },
  {
    raw: { name: "localhost" },
    message: /^Cannot use name: must not be localhost or end in .localhost, .invalid or .onion, which/,
  },
  {
    raw: { name: "web.Localhost." },
    message: /^Cannot use name: must not be localhost or end in .localhost, .invalid or .onion, which/,
  },
  {
    raw: { name: "x.onion" },
    message: /^Cannot use name: must not be localhost or end in .localhost, .invalid or .onion, which/,
  },
  { raw: { name: "a.example", record: "ANY" }, message: /^Cannot use record: must be one of A, AAAA, CNAME/ },
  { raw: { name: "a.example", expect: "" }, message: /^Cannot use expect: must be a non-empty string/ },
  { raw: { name: "a.example", expect: [1] }, message: /^Cannot use expect/ },
  { raw: { name: "a.example", type: "A" }, message: /^Unknown key type$/ },
])("dns rejects the config $raw", async ({ raw, message }) => {
  const issues = await issuesOf(dns, raw);
  assert.equal(issues.length, 1, JSON.stringify(issues));
  assert.match(issues[0]?.message ?? "", message);
});

Deno.test("dns reads a config in either case, with a dot or without", async () => {
  const config = await configured(dns, { name: "Web.Example.", record: "txt", expect: "x" });
  assert.deepEqual(config, { name: "Web.Example", record: "TXT", expect: ["x"] });
  assert.deepEqual(await configured(dns, { name: "." }), { name: ".", record: "A", expect: [] });
});

Deno.test("dns requests its target, and the hosts file if that could contain the name", () => {
  const scope = { instance: "ns:53/dns", target: "192.0.2.53:53" };
  const config = { name: "a.example", expect: [] };
  const read = ["/etc/hosts"];
  for (const record of ["A", "AAAA"] as const) {
    assert.deepEqual(dns.permissions({ ...config, record }, scope), { net: [scope.target], read });
  }
  assert.deepEqual(dns.permissions({ ...config, record: "MX" }, scope), { net: [scope.target] });
});

Deno.test("dns is unknown for a target that is not an IP address", async () => {
  assert.equal(
    await reasonOf(dns, { name: "a.example" }, "ns.example:53"),
    "Cannot query ns.example:53: the host of a name server must be an IP address",
  );
});

Deno.test("dns does not start when it is already aborted", async () => {
  const signal = AbortSignal.abort(new Error("too late"));
  await assert.rejects(probe(dns, { name: "a.example" }, "127.0.0.1:53", signal), /too late/);
});
