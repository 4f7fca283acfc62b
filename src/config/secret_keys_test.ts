import assert from "node:assert/strict";
import fc from "fast-check";
import { secretFilesIn, withSecrets } from "./secret_keys.ts";

const TEXTS = new Map([
  ["redis.pass", { text: "hunter22" }],
  ["/run/user", { text: "lighthouse" }],
  ["gone", { reason: "no such file" }],
]);

Deno.test("secretFilesIn() finds the files of secrets and of users' names at any depth", () => {
  const raw = {
    password_file: "a",
    auth: { username_file: "b", user_file: "c" },
    hosts: [{ token_file: "d" }],
    headers: { Authorization_file: "e" },
    config_file: "no",
    pid_file: "no",
    _file: "no",
    password: "no",
  };
  assert.deepEqual(secretFilesIn(raw), ["a", "b", "c", "d", "e"]);
  assert.deepEqual([secretFilesIn(null), secretFilesIn("password_file"), secretFilesIn({ password_file: 5 })], [
    [],
    [],
    [],
  ]);
});

Deno.test("withSecrets() passes on the plain keys", () => {
  const { value, findings } = withSecrets({
    tls: true,
    auth: { username_file: "/run/user", password_file: "redis.pass" },
  }, TEXTS);
  assert.deepEqual(value, { tls: true, auth: { username: "lighthouse", password: "hunter22" } });
  assert.deepEqual(findings, []);
});

Deno.test.each([
  { raw: { password_file: "gone" }, says: "Cannot use password_file: no such file" },
  {
    raw: { password_file: "redis.pass", password: "x" },
    says: "Cannot use password_file: password is also set; remove one of them",
  },
  {
    raw: { auth: { password_file: 7 } },
    says: "Cannot use auth.password_file: must be a file path; current value is *****",
  },
])("withSecrets() rejects $raw", ({ raw, says }) => {
  assert.deepEqual(withSecrets(raw, TEXTS).findings.map(({ message }) => message), [says]);
});

Deno.test("withSecrets() places findings at the key that names the file, and shows none of its contents", () => {
  const { placed } = withSecrets({ auth: { username_file: "/run/user" }, port: 1 }, TEXTS);
  const at = { severity: "error", at: "value" } as const;
  assert.deepEqual(
    placed([
      {
        ...at,
        path: ["auth", "username"],
        message: 'Cannot use auth.username: must be short; current value is "lighthouse"',
      },
      { ...at, path: ["port"], message: "Cannot use port: must be 2; current value is 1" },
    ]).map(({ path, message }) => [path.join("."), message]),
    [
      ["auth.username_file", "Cannot use auth.username_file: must be short; current value is *****"],
      ["port", "Cannot use port: must be 2; current value is 1"],
    ],
  );
});

Deno.test("withSecrets() returns a config without such keys unchanged", () => {
  fc.assert(fc.property(fc.jsonValue(), (raw) => {
    if (secretFilesIn(raw).length > 0 || JSON.stringify(raw).includes("_file")) return;
    assert.equal(withSecrets(raw, TEXTS).value, raw);
  }));
});
