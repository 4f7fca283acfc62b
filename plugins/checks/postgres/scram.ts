/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL uses it, without channel
 * binding: the client proves that it knows the password, and so does
 * the server.
 *
 * @module
 */
import { ProbeError } from "../connection.ts";

/** The mechanism's name. */
export const SCRAM_SHA_256 = "SCRAM-SHA-256";

/** Maximum number of iterations (PostgreSQL: 4096), so that a hostile server cannot keep the client busy. */
const ROUNDS_MAX = 1_000_000;

/** Means "no channel binding" before the first message, and again, in base64, in the last. */
const [GS2_HEADER, GS2_HEADER_BASE64] = ["n,,", "biws"];

/** The client's side of an exchange. */
export interface ScramAnswer {
  /** The last message to the server. */
  readonly final: string;
  /** The expected last message of the server. */
  readonly expected: string;
}

/** Formats the first message; the server knows the user already, so the name is empty. */
export function firstMessage(nonce: string): { readonly message: string; readonly bare: string } {
  const bare = `n=,r=${nonce}`;
  return { message: `${GS2_HEADER}${bare}`, bare };
}

/** Makes a nonce: printable and unique. */
export function makeNonce(): string {
  return toBase64(crypto.getRandomValues(new Uint8Array(18)));
}

/**
 * Answers the server's first message.
 *
 * @throws {ProbeError} if that message is invalid
 */
export async function answerChallenge(
  challenge: string,
  { bare, nonce, password }: { readonly bare: string; readonly nonce: string; readonly password: string },
): Promise<ScramAnswer> {
  const match = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,9})(?:,.*)?$/.exec(challenge);
  const [, both = "", salt = "", digits = ""] = match ?? [];
  const rounds = Number(digits);
  if (match === null || !both.startsWith(nonce) || both === nonce || salt.length % 4 !== 0) {
    throw new ProbeError("The server sent an invalid SCRAM-SHA-256 message");
  }
  if (rounds > ROUNDS_MAX) {
    throw new ProbeError(`The server requires ${rounds} SCRAM-SHA-256 iterations; checks allow at most ${ROUNDS_MAX}`);
  }
  const salted = await saltPassword(password, fromBase64(salt), rounds);
  const clientKey = await hmac(salted, "Client Key");
  const storedKey = new Uint8Array(await crypto.subtle.digest("SHA-256", clientKey));
  const withoutProof = `c=${GS2_HEADER_BASE64},r=${both}`;
  const all = `${bare},${challenge},${withoutProof}`;
  const signature = await hmac(storedKey, all);
  const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0));
  const server = await hmac(await hmac(salted, "Server Key"), all);
  return { final: `${withoutProof},p=${toBase64(proof)}`, expected: `v=${toBase64(server)}` };
}

async function saltPassword(password: string, salt: Bytes, iterations: number): Promise<Bytes> {
  // PostgreSQL prepares a password with SASLprep; this is the part with an effect.
  const raw = new TextEncoder().encode(password.normalize("NFKC"));
  const key = await crypto.subtle.importKey("raw", raw, "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(
    await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256),
  );
}

async function hmac(secret: Bytes, text: string): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text)));
}

type Bytes = Uint8Array<ArrayBuffer>;

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
