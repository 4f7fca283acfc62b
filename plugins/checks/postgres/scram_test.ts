import assert from "node:assert/strict";
import { answerChallenge, firstMessage, makeNonce } from "./scram.ts";

/** The example of RFC 7677, section 3. */
const EXAMPLE = { bare: "n=user,r=rOprNGfwEbeRWgbNEkqO", nonce: "rOprNGfwEbeRWgbNEkqO", password: "pencil" };
const BOTH = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

Deno.test("answerChallenge() returns the answer of RFC 7677", async () => {
  assert.deepEqual(await answerChallenge(`r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, EXAMPLE), {
    final: `c=biws,r=${BOTH},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`,
    expected: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  });
});

Deno.test.each([
  { what: "nothing", challenge: "" },
  { what: "another nonce", challenge: "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" },
  { what: "only our nonce", challenge: "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" },
  { what: "no salt", challenge: `r=${BOTH},s=,i=4096` },
  { what: "a broken salt", challenge: `r=${BOTH},s=W22Za,i=4096` },
  { what: "no rounds", challenge: `r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0` },
  { what: "an unknown mandatory extension", challenge: `m=x,r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096` },
])("answerChallenge() rejects $what", async ({ challenge }) => {
  await assert.rejects(answerChallenge(challenge, EXAMPLE), /sent an invalid SCRAM-SHA-256 message/);
});

Deno.test("answerChallenge() limits the iterations", async () => {
  const challenge = `r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000`;
  await assert.rejects(
    answerChallenge(challenge, EXAMPLE),
    /requires 4000000000 SCRAM-SHA-256 iterations; checks allow at most 1000000/,
  );
});

Deno.test("firstMessage() states no channel binding, and no user name", () => {
  assert.deepEqual(firstMessage("abc"), { message: "n,,n=,r=abc", bare: "n=,r=abc" });
  assert.notEqual(makeNonce(), makeNonce());
  assert.match(makeNonce(), /^[A-Za-z0-9+/]{24}$/);
});
