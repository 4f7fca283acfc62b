import assert from "node:assert/strict";
import fc from "fast-check";
import { isSecretKey, MASK } from "./secret.ts";

Deno.test.each([
  ...["password", "passwd", "passphrase", "pass", "PASSWORD", "dbPassword", "db_password", "password_file", "pwd"],
  ...["db_password_2", "userPasswordHash", "db_pass_2", "redis_pass1", "requirepass", "db_pwd"],
  ...["secret", "clientSecret", "SECRET_KEY", "token", "authToken", "X-Auth-Token", "credentials"],
  ...["auth", "auth_scheme", "basic_auth", "http-auth", "x-auth", "Authorization", "Proxy-Authorization"],
  ...["private_key", "privateKey", "api_key", "apikey", "X-API-Key", "access_key", "signing-key", "encryptionKey"],
  ...[
    "pasword",
    "passwrd",
    "passsword",
    "apssword",
    "dbPasswrod",
    "db_pssword",
    "sercet",
    "client-secert",
    "credental",
  ],
  ...["pw", "PW", "db_pw"],
  ...["dynamic-cookie-key", "__proto__password", "pass\u0000word\npassword"],
].map((key) => ({ key })))("isSecretKey() hides the value of $key", ({ key }) => assert.ok(isSecretKey(key)));

Deno.test.each([
  ...["", "host", "port", "uri", "path", "hosts", "name", "user", "username", "key", "keys", "compass_rose"],
  ...[
    "author",
    "authority",
    "sword",
    "section",
    "crossword",
    "pwm",
    "swap",
    "cookie",
    "monkey",
    "keyspace",
    "hasOwnProperty",
    "__proto__",
    "constructor",
  ],
].map((key) => ({ key })))("isSecretKey() shows the value of '$key'", ({ key }) => assert.ok(!isSecretKey(key)));

Deno.test("isSecretKey() finds a secret's name in any case, with anything before it", () => {
  fc.assert(fc.property(
    fc.string(),
    fc.constantFrom("password", "secret", "token", "credential", "api_key"),
    fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
    (before, name, upper) => {
      const written = [...name].map((letter, i) => upper[i] ? letter.toUpperCase() : letter).join("");
      assert.ok(isSecretKey(before + written));
    },
  ));
});

Deno.test("isSecretKey() is fast for a long key", () => {
  for (const part of ["pass", "auth_", "private_", "a", "pass_"]) {
    assert.equal(typeof isSecretKey(part.repeat(1e6)), "boolean");
  }
});

Deno.test("MASK reveals nothing, not even a length", () => assert.match(MASK, /^\*+$/));
