import { HttpClient } from "../http/client.ts";
import { isRecord } from "../model/node.ts";
import { formatStatusAddress, type StatusAddress } from "../model/status_address.ts";
import type { Health } from "../status/health.ts";
import type { Status } from "../status/status_shape.ts";

/** How the processes of a host are asked. */
export interface AskStatus {
  /** Where; those of the shipped units if empty. */
  readonly addresses: readonly StatusAddress[];
  readonly tokenFile?: string | undefined;
  readonly ca?: string | undefined;
  readonly timeoutMs: number;
}

/** One process, as it answered. */
export interface Answered {
  readonly at: string;
  readonly status: Status;
  readonly health: Health;
}

/** What the processes of a host answered. */
export interface AnsweredAll {
  readonly answered: readonly Answered[];
  /** Who did not, and why. */
  readonly silent: readonly { readonly at: string; readonly reason: string }[];
}

/** A process that did not answer. */
interface Silent {
  readonly at: string;
  readonly reason: string;
  /** Whether there is nothing at the address. */
  readonly isMissing: boolean;
}

const STANDARD: readonly StatusAddress[] = [
  { path: "/run/lighthouse/writer.sock" },
  { path: "/run/lighthouse/reporter.sock" },
];
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** Asks each process how it stands. Never throws for what one of them does. */
export async function askStatus(
  { addresses, tokenFile, ca, timeoutMs }: AskStatus,
  { dir, signal }: { readonly dir: string; readonly signal: AbortSignal },
): Promise<AnsweredAll> {
  const [token, authority] = await Promise.all(
    [tokenFile, ca].map(async (path) => path === undefined ? undefined : (await Deno.readTextFile(path)).trim()),
  );
  const asked = addresses.length === 0 ? STANDARD : addresses;
  const results = await Promise.all(asked.map(async (address): Promise<Answered | Silent> => {
    const at = formatStatusAddress(address);
    using client = new HttpClient(
      "path" in address
        ? { socket: address.path }
        : authority === undefined && token === undefined
        ? {}
        : { tls: { ca: authority } },
    );
    const get = async (path: string): Promise<unknown> => {
      const { status, text } = await client.ask("path" in address ? { host: "localhost", port: 80 } : address, {
        method: "GET",
        path,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        bytesMax: ANSWER_BYTES_MAX,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      const value: unknown = JSON.parse(text);
      // A server that fails says so with 503, and what it says counts.
      if (isRecord(value) && (status === 200 || status === 503 && "status" in value)) return value;
      throw new Error(
        isRecord(value) && typeof value.error === "string" ? value.error : `HTTP status ${status}`,
      );
    };
    try {
      const status = await get("/status") as Status;
      if (!isRecord(status.config) || typeof status.role !== "string") throw new Error("not a Lighthouse process");
      const [theirs, ours] = await Promise.all([status.config.dir as string, dir].map(realPath));
      if ("path" in address && theirs !== ours) {
        return { at, reason: `config directory is ${theirs}, not ${ours}`, isMissing: false };
      }
      return { at, status, health: await get("/health") as Health };
    } catch (error) {
      const isMissing = error instanceof Deno.errors.NotFound;
      return { at, reason: reasonOf(error), isMissing };
    }
  }));
  const answered = results.filter((each) => "status" in each);
  // A host may have one of the two units.
  const silent = results.flatMap((each) =>
    "status" in each || (addresses.length === 0 && each.isMissing && answered.length > 0)
      ? []
      : [{ at: each.at, reason: each.reason }]
  );
  return { answered, silent };
}

async function realPath(path: string): Promise<string> {
  return await Deno.realPath(path).catch(() => path);
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such socket";
  if (error instanceof Deno.errors.ConnectionRefused) return "connection refused";
  if (error instanceof Deno.errors.PermissionDenied) {
    return "permission denied; run this command as the user of the process";
  }
  if (error instanceof SyntaxError) return "not a Lighthouse process";
  return error instanceof Error ? error.message : String(error);
}
