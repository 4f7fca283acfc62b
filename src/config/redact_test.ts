import assert from "node:assert/strict";
import fc from "fast-check";
import { eventually } from "../../tests/support/eventually.ts";
import { applyMasks, brokenMasks, lineMasks, mergeSpans, redact, redactLine, secretMasks } from "./redact.ts";

const SECRET = "hunter2-hunter2";

Deno.test.each([
  ["password: hunter2", "password: *****"],
  ["  password : hunter2 # mine", "  password : *****"],
  ["- api_key=hunter2", "- api_key=*****"],
  ["password hunter2", "password *****"],
  ["password hunter2=x y: z", "password *****"],
  ["password of the database: hunter2", "password *****"],
  ['"password": "hunter2"', '"password": *****'],
  ["{user: me, token: hunter2, rise: 2}", "{user: me, token: *****"],
  ["  - stats auth admin:hunter2", "  - stats auth *****"],
  ["  - user me insecure-password hunter2", "  - user me insecure-password *****"],
  ["http://h/?token=hunter2&x=1", "http://h/?token=*****"],
  ["uri: redis://me:hunter2@db:6379/0", "uri: redis://me:*****@db:6379/0"],
  ["uri: redis://me:hun/ter@2@db", "uri: redis://me:*****@db"],
  ['uri: "redis://me:hunter 2@db"', 'uri: "redis://me:*****@db"'],
  ["uri: //me:hunter2@db", "uri: //me:*****@db"],
  ["uri: https://hunter2@db/", "uri: https://*****@db/"],
  ["hosts: [me:hunter2@zk01:2181]", "hosts: [me:*****@zk01:2181]"],
  ["port: 8000", "port: 8000"],
  ["hosts: [zk01:2181, zk02:2181]", "hosts: [zk01:2181, zk02:2181]"],
  ["uri: http://127.0.0.1:80/health", "uri: http://127.0.0.1:80/health"],
  ["password:", "password:"],
])("lineMasks() of %s is %s", (line, shown) => assert.equal(applyMasks(line, lineMasks(line)), shown));

Deno.test.each([
  { why: "a block that is not indented", text: "password: |\nhunter2", line: 2, shown: "*****" },
  { why: "a later line of it", text: "password: |\nhunter2\nhunter3", line: 3, shown: "*****" },
  { why: "a key that follows is shown", text: "password: hunter2\nport: x: y", line: 2, shown: "port: x: y" },
  { why: "a key that is deeper is not", text: "auth:\n  user: hunter2: x", line: 2, shown: "*****" },
  { why: "nor after another secret in it", text: "auth:\n  password: x\n  user: h: x", line: 3, shown: "*****" },
  { why: "but one beside it is", text: "a:\n  password: x\n  user: h: x", line: 3, shown: "  user: h: x" },
  { why: "in a list, too", text: "- password: x\n  user: h: x", line: 2, shown: "  user: h: x" },
  {
    why: "an open quote hides everything",
    text: 'password: "hunter2\nport: 8000\nname: x: y',
    line: 3,
    shown: "*****",
  },
  { why: "until it is closed", text: 'password: "hunter2\n  x"\nport: 8000', line: 3, shown: "port: 8000" },
  { why: "an escaped quote does not close one", text: 'password: "a\\"\nport: 8000', line: 2, shown: "*****" },
  { why: "an open bracket hides everything", text: "tokens: [hunter2,\nport: 8000,\nb: c", line: 3, shown: "*****" },
  { why: "until it is closed", text: "tokens: [\nhunter2]\nport: 8000", line: 3, shown: "port: 8000" },
  { why: "the colon may be in the next line", text: "password\n: hunter2", line: 2, shown: "*****" },
  { why: "everything before the first secret is shown", text: "port: x: y\npassword: z", line: 1, shown: "port: x: y" },
  { why: "a line of a PEM is no key", text: "private_key: |\nDEK-Info: x\nMIIEow", line: 3, shown: "*****" },
  {
    why: "an anchor may be that of a secret",
    text: "a: &a hunter2\nb: }\npassword: *a",
    line: 1,
    shown: "a: &a *****",
  },
  { why: "a directive hides only its own line", text: "- stats auth a:b\n- x: y: z", line: 2, shown: "- x: y: z" },
])("brokenMasks(): $why", ({ text, line, shown }) => {
  const lines = text.split("\n");
  assert.equal(applyMasks(lines[line - 1] ?? "", brokenMasks(lines, line - 1)), shown);
});

Deno.test.each([
  ["Missing key password: must be a string", "Missing key password: must be a string"],
  ["Unknown key pasword: did you mean password?", "Unknown key pasword: did you mean password?"],
  ['current value is "stats auth admin:hunter2"', 'current value is "stats auth *****'],
  ['Cannot use "token=hunter2" here', 'Cannot use "token=***** here'],
  ['current value is {"password":"*****","rise":2}', 'current value is {"password":"*****","rise":2}'],
  ['current value is {"password":"hunter2"}', 'current value is {"password":*****'],
  ['labels must be an object; received {"password":"hunter2"}', 'labels must be an object; received {"password":*****'],
  ["Cannot reach redis://me:hunter2@db", "Cannot reach redis://me:*****@db"],
])("redact() of %s is %s", (message, shown) => assert.equal(redact(message), shown));

Deno.test("redact() masks known secrets anywhere, also truncated ones and in JSON's spelling", () => {
  const secrets = new Set(["hunter2-and-more", 'quo"te\nline', "ab", ""]);
  assert.equal(redact("it is hunter2-and-more, or hunter2-an...", secrets), "it is *****, or *****...");
  assert.equal(redact('is "quo\\"te\\nline"', secrets), 'is "*****"');
  assert.equal(redact('a cab, or "ab"', secrets), 'a cab, or "*****"');
});

Deno.test("redact() truncates very long strings", () => {
  assert.equal(redact("x".repeat(100_000)).length, 1_000);
});

Deno.test("mergeSpans() joins adjacent spans", () => {
  assert.deepEqual(
    mergeSpans([{ start: 5, end: 7 }, { start: 0, end: 2 }, { start: 1, end: 3 }, { start: 3, end: 4 }]),
    [
      { start: 0, end: 4 },
      { start: 5, end: 7 },
    ],
  );
});

Deno.test("secretMasks() finds each of several", () => {
  const text = "alpha beta alpha";
  assert.equal(applyMasks(text, secretMasks(text, new Set(["alpha", "beta"]))), "***** ***** *****");
});

/**
 * Measures how many times longer a function takes over one long line than over short ones with as many characters
 * altogether: 1 if its time grows as the line does, 8 if as its square. The quickest run of each counts, of
 * all since the measuring began: others who share the machine make a run longer, never shorter.
 */
function growth(judge: (line: string) => unknown, part: string): () => number {
  const [short, long] = [1_024, 8_192].map((length) => part.repeat(length / part.length)) as [string, string];
  const quickest = { short: Infinity, long: Infinity };
  const run = (line: string, times: number) => {
    const began = performance.now();
    for (let i = 0; i < times; i++) judge(line);
    return performance.now() - began;
  };
  return () => {
    for (let i = 0; i < 3; i++) {
      quickest.short = Math.min(quickest.short, run(short, 16));
      quickest.long = Math.min(quickest.long, run(long, 2));
    }
    return quickest.long / quickest.short;
  };
}

/** What no user part ends at, though it looks so. */
const TAIL = '" @';

Deno.test("lineMasks() takes time proportional to the length of a line, whatever its contents", async () => {
  const square = growth((line) => /x.*y/.test(line), "x");
  await eventually("a pattern that takes the square is found out", () => square() > 4);
  for (const part of ["a:", "//", "a@", "//a:", "password ", ":@", '"', " a:b", "=a:", "====", "//a: "]) {
    const ratio = growth((line) => lineMasks(line + TAIL), part);
    await eventually(`linear time over ${JSON.stringify(part)}`, () => ratio() < 4);
  }
});

Deno.test("lineMasks() leaves no trace of a secret after its name, whatever surrounds it", () => {
  const name = fc.constantFrom("password", "db_password", "API-KEY", "auth_token", "secret", "passphrase");
  const around = fc.string({ maxLength: 10 }).filter((text) => !text.includes("hunter"));
  fc.assert(
    fc.property(around, name, fc.constantFrom(": ", "=", " ", " : ", '": "'), around, (before, key, mark, after) => {
      const line = `${before} ${key}${mark}${SECRET}${after}`;
      assert.doesNotMatch(applyMasks(line, lineMasks(line)), /hunter/);
    }),
  );
});

Deno.test.each([
  ["  http-request set-header x-api-key hunter2", "  http-request set-header x-api-key *****"],
  ["    proxy_set_header X-Auth-Token hunter2;", "    proxy_set_header X-Auth-Token *****"],
  ["api_token = hunter2", "api_token = *****"],
  ["  url redis://me:hunter2@db:6379/0", "  url redis://me:*****@db:6379/0"],
  ["  server a 10.0.0.1:80 check inter 2s", "  server a 10.0.0.1:80 check inter 2s"],
])("redactLine() writes %s as %s", (line, want) => assert.equal(redactLine(line), want));
