import { NobodyListensError, RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import type { Host } from "./fleet.ts";
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";

/** How long HAProxy may take to answer. */
const DEADLINE_MS = 5_000;

/** A backend as the page of statistics shows it. */
export interface Backend {
  /** Its name: a cluster's, or a proxy's. */
  readonly name: string;
  /** Its servers, sorted by name. */
  readonly servers: readonly {
    readonly name: string;
    /** Whether it gets requests. */
    readonly isUp: boolean;
    /** HAProxy's word for its state: `UP`, `no check`, `MAINT`. */
    readonly status: string;
    /** How many sessions it has had. */
    readonly sessions: number;
  }[];
}

/** What a host's HAProxy says of itself. */
export interface HaproxyState {
  /** The process that serves. A reload would make it another. */
  readonly pid: number;
  readonly version: string;
  /** Sorted by name; those without servers too. */
  readonly backends: readonly Backend[];
}

/** Asks a host's HAProxy; `undefined` if it does not run. */
export async function askHaproxy({ dir }: Host): Promise<HaproxyState | undefined> {
  try {
    using socket = await RuntimeSocket.connect(`${dir}/haproxy.sock`, {
      dialect: PROMPT,
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    const [info = "", stat = ""] = await socket.ask(["show info", "show stat -1 6 -1"]);
    return {
      pid: Number(/^Pid: (\d+)$/m.exec(info)?.[1]),
      version: /^Version: ([\d.]+)/m.exec(info)?.[1] ?? "",
      backends: backendsOf(stat),
    };
  } catch (error) {
    if (error instanceof NobodyListensError) return undefined;
    throw error;
  }
}

function backendsOf(csv: string): readonly Backend[] {
  const [header = "", ...lines] = csv.replace(/^# /, "").split("\n");
  const columns = header.split(",");
  const rows = lines.filter((line) => line !== "").map((line) => {
    const cells = line.split(",");
    return (name: string) => cells[columns.indexOf(name)] ?? "";
  });
  return rows.filter((cell) => cell("svname") === "BACKEND").map((backend) => ({
    name: backend("pxname"),
    servers: rows.filter((cell) => cell("pxname") === backend("pxname") && cell("svname") !== "BACKEND").map((
      cell,
    ) => ({
      name: cell("svname"),
      isUp: /^(?:UP|no check)/.test(cell("status")),
      status: cell("status"),
      sessions: Number(cell("stot")),
    })).toSorted((a, b) => a.name < b.name ? -1 : 1),
  })).toSorted((a, b) => a.name < b.name ? -1 : 1);
}
