import assert from "node:assert/strict";
import { issuesOf } from "../../../tests/support/probe.ts";
import exec from "./mod.ts";

Deno.test.each([
  { raw: {}, message: /^Missing key command: must be the absolute path of a program/ },
  {
    raw: { command: "true" },
    message: /^Cannot use command: must be the absolute path.*current value is "true"$/,
  },
  { raw: { command: "/bin/../bin/true" }, message: /^Cannot use command/ },
  { raw: { command: "/bin//true" }, message: /^Cannot use command/ },
  { raw: { command: "/bin/" }, message: /^Cannot use command/ },
  { raw: { command: "/x", args: "one two" }, message: /^Cannot use args: must be a list of strings/ },
  { raw: { command: "/x", args: [{}] }, message: /^Cannot use args\[0\]: must be a string without NUL/ },
  { raw: { command: "/x", args: ["a\0b"] }, message: /^Cannot use args\[0\]/ },
  {
    raw: { command: "/x", env: { "A-B": "c" } },
    message: /^Cannot use the variable name: .*current value is "A-B"$/,
  },
  { raw: { command: "/x", env: { LD_PRELOAD: "/y.so" } }, message: /a name that does not start with LD_ or DYLD_/ },
  { raw: { command: "/x", env: { DYLD_LIBRARY_PATH: "/y" } }, message: /a name that does not start with LD_ or DYLD_/ },
  { raw: { command: "/x", env: { DB_PASSWORD: ["s3cret"] } }, message: /current value is \*\*\*\*\*$/ },
  { raw: { command: "/x", directory: "tmp" }, message: /^Cannot use directory: must be the absolute path/ },
  { raw: { command: "/x", status: 256 }, message: /^Cannot use status: must be an exit status from 0 to 255/ },
  { raw: { command: "/x", status: [] }, message: /^Cannot use status/ },
  { raw: { command: "/x", status: [0, "ok"] }, message: /^Cannot use status/ },
  { raw: { command: "/x", output: "" }, message: /^Cannot use output: must be a non-empty string/ },
  { raw: { command: "/x", output_limit: 0 }, message: /^Cannot use output_limit: must be an integer from 1 to/ },
  { raw: { command: "/x", output: "ü", output_limit: 1 }, message: /^Cannot use output: must be at most output_limit/ },
  { raw: { command: "/x", shell: true }, message: /^Unknown key shell$/ },
])("exec rejects the config $raw", async ({ raw, message }) => {
  const issues = await issuesOf(exec, raw);
  assert.equal(issues.length, 1, JSON.stringify(issues));
  assert.match(issues[0]?.message ?? "", message);
});

Deno.test("exec reads a config with numbers among its strings, and fills in the defaults", async () => {
  const result = await exec.config["~standard"].validate({ command: "/bin/x", args: ["-p", 80, true], status: [0, 3] });
  assert.deepEqual(result, {
    value: {
      command: "/bin/x",
      args: ["-p", "80", "true"],
      env: {},
      directory: "/",
      status: [0, 3],
      output_limit: 65_536,
    },
  });
});

Deno.test("exec requests only permission to run its program", () => {
  const config = { command: "/bin/x", args: [], env: {}, directory: "/", status: [0], output_limit: 1 };
  assert.deepEqual(exec.permissions(config, { instance: "web:8000/exec", target: "web:8000" }), { run: ["/bin/x"] });
});
