import type { CheckPlugin, ProbeOutcome } from "../../../mod.ts";
import { quote } from "../../../src/kernel/quote.ts";
import { MASK } from "../../../src/kernel/secret.ts";
import { type Connection, exchange, ProbeError } from "../connection.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { PostgresConfig } from "./config.ts";
import { logIn } from "./login.ts";
import {
  type Complaint,
  formatMessage,
  formatStartup,
  type Message,
  MessageReader,
  parseComplaint,
  parseFirstColumn,
  TLS_REQUEST,
} from "./message.ts";

/** The user for the test whether a server accepts connections; it need not exist. */
const NOBODY = "lighthouse";

/** Explanations of errors, by code. */
const HINTS: ReadonlyMap<string, string> = new Map([
  ["28000", "login not permitted"],
  ["28P01", "wrong user or password"],
  ["3D000", "no such database"],
  ["53300", "too many connections"],
  ["57P03", "the server is starting up, shutting down or recovering"],
]);

/** Classes of errors that mean the server itself cannot serve: resources, operators, system, internal. */
const UNWELL = /^(?:53|57|58|XX)/;

/** The check `postgres`; its keys are in the README beside this file. */
const postgres: CheckPlugin<PostgresConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "postgres",
  summary: "Passes when PostgreSQL accepts connections, a login, or a query",
  stability: "stable",
  example: {},
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ tls, verify, ca }, { target }) => ({
    net: target === undefined ? [] : [target],
    ...(tls && verify && ca !== undefined && { read: [ca] }),
  }),
  probe(config, { target, signal }) {
    const { verify, ca, server_name: serverName } = config;
    const request = { bytes: TLS_REQUEST, accepted: "S", refused: (answer: string) => refusal(answer, target) };
    const tls = config.tls ? { verify, ca, serverName, request } : undefined;
    return exchange(target, { signal, tls }, (connection) => ask(connection, config));
  },
};

export default postgres;

/** Explains why there is no TLS. */
function refusal(answer: string, target: string): ProbeError {
  return new ProbeError(
    answer === "N"
      ? `${target} does not offer TLS`
      : answer === ""
      ? `${target} closed the connection without a response`
      : `Got ${quote(answer)} from ${target}, expected S or N in response to SSLRequest`,
  );
}

async function ask(connection: Connection, config: PostgresConfig): Promise<ProbeOutcome> {
  const { user = NOBODY, database } = config;
  const reader = new MessageReader(connection);
  const named = database === undefined ? {} : { database };
  await connection.write(formatStartup({ user, ...named, application_name: NOBODY }));
  const first = await reader.next();
  return config.user === undefined
    ? await judgeReadiness(connection, first)
    : await judgeSession(connection, reader, first, { ...config, user });
}

/** Any answer means that the server accepts connections, as with pg_isready; that needs no login. */
async function judgeReadiness(connection: Connection, first: Message): Promise<ProbeOutcome> {
  if (first.type === "R") {
    // If there was no login, terminate properly, or the server logs a lost connection.
    if (first.body.every((byte) => byte === 0)) await goodbye(connection);
    return { status: "pass", detail: "Connection accepted" };
  }
  const complaint = complaintOf(first, connection);
  return UNWELL.test(complaint.code)
    ? { status: "fail", reason: explain(complaint, connection) }
    : { status: "pass", detail: "Connection accepted, login rejected" };
}

async function judgeSession(
  connection: Connection,
  reader: MessageReader,
  first: Message,
  config: PostgresConfig & { readonly user: string },
): Promise<ProbeOutcome> {
  const { password } = config;
  const refused = await logIn(connection, reader, first, config) ?? await unlessReady(reader);
  if (refused !== undefined) {
    return { status: "fail", reason: explain(complaintOf(refused, connection), connection, password) };
  }
  const outcome: ProbeOutcome = config.query === undefined
    ? { status: "pass", detail: "Login accepted" }
    : judgeAnswer(await query(connection, reader, config.query), config, connection);
  await goodbye(connection);
  return outcome;
}

/** Returns the message that arrived instead of ReadyForQuery. */
async function unlessReady(reader: MessageReader): Promise<Message | undefined> {
  const message = await reader.next();
  return message.type === "Z" ? undefined : message;
}

/** The result of a query. */
interface Answer {
  /** The error, if it was rejected. */
  readonly complaint?: Complaint | undefined;
  /** The first column of the first row; `undefined` without one. */
  readonly value?: string | null | undefined;
}

async function query(connection: Connection, reader: MessageReader, text: string): Promise<Answer> {
  await connection.write(formatMessage("Q", text, "\0"));
  let [complaint, value, rows]: [Complaint | undefined, string | null | undefined, number] = [undefined, undefined, 0];
  for (;;) {
    const { type, body } = await reader.next();
    switch (type) {
      case "Z":
        return { complaint, value };
      case "E":
        complaint ??= parseComplaint(body);
        // The last message of a session that the server ends.
        if (UNWELL.test(complaint.code)) return { complaint };
        break;
      case "D":
        if (rows++ === 0) value = parseFirstColumn(body);
        break;
      case "G":
      case "H":
      case "W":
        throw new ProbeError("Cannot use query: COPY is not supported; a check only reads rows");
    }
  }
}

function judgeAnswer({ complaint, value }: Answer, config: PostgresConfig, connection: Connection): ProbeOutcome {
  const { expect, password } = config;
  if (complaint !== undefined) return { status: "fail", reason: explain(complaint, connection, password) };
  const got = value === undefined
    ? "Got no rows"
    : value === null
    ? "Got NULL"
    : `Got ${quote(masked(value, password))}`;
  return expect === undefined || value === expect
    ? { status: "pass", detail: got }
    : { status: "fail", reason: `${got} from ${connection.target}, expected ${quote(expect)}` };
}

function complaintOf({ type, body }: Message, { target }: Connection): Complaint {
  if (type !== "E") throw new ProbeError(`${target} sent an unexpected PostgreSQL message`);
  return parseComplaint(body);
}

function explain({ code, text }: Complaint, { target }: Connection, password?: string): string {
  const hint = HINTS.get(code);
  const meaning = hint === undefined ? "" : ` (${hint})`;
  return `Got error ${quote(code)}${meaning} from ${target}: ${quote(masked(text, password))}`;
}

/** A server may echo the password. */
function masked(text: string, password: string | undefined): string {
  return password === undefined ? text : text.replaceAll(password, MASK);
}

async function goodbye(connection: Connection): Promise<void> {
  await connection.write(formatMessage("X")).catch(() => {});
}
