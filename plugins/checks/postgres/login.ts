/** How a check logs in to PostgreSQL, by the method that the server requests. @module */
import { type Connection, ProbeError } from "../connection.ts";
import { formatInt32, formatMessage, type Message, type MessageReader, parseAuthentication } from "./message.ts";
import { answerChallenge, firstMessage, makeNonce, SCRAM_SHA_256 } from "./scram.ts";

/** The credentials. */
export interface Login {
  readonly user: string;
  readonly password?: string | undefined;
}

/** The numbers of authentication messages. */
const [OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL] = [0, 3, 5, 10, 11, 12];

/**
 * Continues from the server's first message until the login succeeds; otherwise returns
 * the final message, usually an error.
 *
 * @throws {ProbeError} if the server requests an unsupported method
 */
export async function logIn(
  connection: Connection,
  reader: MessageReader,
  first: Message,
  { user, password }: Login,
): Promise<Message | undefined> {
  const { target } = connection;
  const known = () => {
    if (password === undefined) throw new ProbeError(`${target} requires a password for user ${JSON.stringify(user)}`);
    return password;
  };
  const send = (...parts: readonly (string | Uint8Array)[]) => connection.write(formatMessage("p", ...parts));
  let message = first;
  for (;; message = await reader.next()) {
    if (message.type !== "R") return message;
    const { method, data } = parseAuthentication(message);
    switch (method) {
      case OK:
        return undefined;
      case CLEARTEXT:
        await send(known(), "\0");
        break;
      case MD5:
        await send(await hashWithMd5(user, known(), data), "\0");
        break;
      case SASL: {
        const mechanisms = new TextDecoder().decode(data).split("\0");
        if (!mechanisms.includes(SCRAM_SHA_256)) {
          throw new ProbeError(
            `${target} does not offer ${SCRAM_SHA_256}, the only SASL mechanism that checks support`,
          );
        }
        const refused = await proveByScram(reader, known(), send);
        if (refused !== undefined) return refused;
        break;
      }
      default:
        throw new ProbeError(
          `${target} requires authentication method ${method}; checks support cleartext, MD5 and ${SCRAM_SHA_256}`,
        );
    }
  }
}

/** Proves the password, and lets the server prove it too; returns its error if it rejects the login. */
async function proveByScram(
  reader: MessageReader,
  password: string,
  send: (...parts: readonly (string | Uint8Array)[]) => Promise<void>,
): Promise<Message | undefined> {
  const nonce = makeNonce();
  const { message, bare } = firstMessage(nonce);
  const initial = new TextEncoder().encode(message);
  await send(`${SCRAM_SHA_256}\0`, formatInt32(initial.length), initial);
  const challenge = await reader.next();
  if (challenge.type !== "R") return challenge;
  const { final, expected } = await answerChallenge(saslText(challenge, SASL_CONTINUE), { bare, nonce, password });
  await send(final);
  const last = await reader.next();
  if (last.type !== "R") return last;
  if (saslText(last, SASL_FINAL) !== expected) {
    throw new ProbeError("The server did not prove that it knows the password; the target may be the wrong server");
  }
  return undefined;
}

function saslText(message: Message, wanted: number): string {
  const { method, data } = parseAuthentication(message);
  if (method !== wanted) throw new ProbeError(`The server sent an invalid ${SCRAM_SHA_256} message`);
  return new TextDecoder().decode(data);
}

/** `md5` and the hash of a hash, in hex. Only a server that requests MD5 makes a worker load node:crypto. */
async function hashWithMd5(user: string, password: string, salt: Uint8Array): Promise<string> {
  const { createHash } = await import("node:crypto");
  const inner = createHash("md5").update(`${password}${user}`).digest("hex");
  return `md5${createHash("md5").update(inner).update(salt).digest("hex")}`;
}
