/**
 * Rules for every check: pass on a healthy server, fail on all others,
 * and stop on request.
 *
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import { formatDuration } from "../kernel/duration.ts";
import type { ProbeOutcome, Scope } from "../plugin/contract.ts";
import { WorkerError } from "../protocol/wire_error.ts";
import {
  describe,
  pluginRules,
  start,
  type Started,
  STOP_WITHIN_MS,
  type Subject,
  timeStop,
  WAIT,
} from "./plugin_rules.ts";
import { eventually } from "./eventually.ts";
import { must, mustTakeAtMost, type Rule } from "./rule.ts";
import { isSilent, ScriptedServer, sends } from "./scripted_server.ts";

/** How a check reaches its target: by a connection, by datagrams, or not at all as it looks elsewhere. */
export type Transport = "tcp" | "udp" | "nothing";

/** A check under test. */
export interface CheckSubject extends Subject {
  /** A valid config, with which the check waits for an answer. */
  readonly config: unknown;
  /** Starts a server that is well in the eyes of this config, if there can be one. */
  readonly healthy?: (() => Promise<{ readonly target: string } & AsyncDisposable> | ScriptedServer) | undefined;
  /** How it reaches its target, TCP unless told. */
  readonly over?: Transport;
  /** Of a check that does not reach its target: a valid config with which a probe waits without an end, if it can. */
  readonly endless?: unknown;
}

/** An address that nobody is asked at. */
const NOWHERE = "127.0.0.1:1";
/** A deadline that no server of these rules reaches. */
const LONG_MS = 15_000;
/** The deadline of a probe that is to be given up. */
const SHORT_MS = 300;
/** How long a probe may take to ask its server: a worker on a busy machine boots in a few seconds. */
const ASKED_WITHIN_MS = 5_000;

/** What is no answer in any protocol. */
const NONSENSE = ["", "\n", "\r\n\r\n", "\u0000\u0001\u0002\n", "?".repeat(100_000), "x\n".repeat(1_000)];

/** The rules for a check. */
export function checkRules(subject: CheckSubject): readonly Rule[] {
  const { name, config, over = "tcp", endless, healthy, stopWithinMs = STOP_WITHIN_MS } = subject;
  const instance = `conformance/${name}`;
  const scopeOf = (target: string): Scope => ({ instance, target });
  const startAt = (target: string, raw = config) => start(subject, raw, scopeOf(target));
  const giveUp = { status: "fail", reason: `No response within ${formatDuration(SHORT_MS)}` };

  async function probe({ host }: Started, timeoutMs: number): Promise<ProbeOutcome> {
    const answer = await host.call({ type: "probe", instance, timeoutMs }, WAIT).catch((error) => {
      if (error instanceof WorkerError) return error;
      throw error;
    });
    // A throw is a failure, as the contract says.
    if (answer instanceof WorkerError) return { status: "fail", reason: answer.message };
    must(answer.type === "outcome", `the response to a probe is ${answer.type}: expected outcome`);
    return answer.outcome;
  }

  function mustBeGivenUp(outcome: ProbeOutcome): void {
    must(
      JSON.stringify(outcome) === JSON.stringify(giveUp),
      `the probe ended with ${said(outcome)} although the server sent no response`,
    );
  }

  const passes: Rule = {
    title: "passes on a healthy server with only the requested permissions, repeatedly",
    skipped: healthy === undefined ? "no healthy server was given" : undefined,
    async run() {
      await using server = await healthy?.();
      await using started = await startAt(server?.target ?? NOWHERE);
      for (let i = 0; i < 3; i++) {
        const outcome = await probe(started, LONG_MS);
        must(outcome.status === "pass", `probe ${i + 1} of 3 ended with ${said(outcome)}`);
      }
    },
  };
  const asks: Rule = {
    title: `requests ${over === "nothing" ? "no network access" : "its target"}`,
    async run() {
      const described = await describe(subject.source, config, scopeOf(NOWHERE));
      must(described.ok, "the config is rejected");
      const net = described.permissions.net ?? [];
      must(net.includes(NOWHERE) === (over !== "nothing"), `the plugin requests net ${JSON.stringify(net)}`);
    },
  };
  const common = [
    ...pluginRules("check", subject, { scope: scopeOf(NOWHERE), config: () => config }),
    passes,
    asks,
  ];

  const stopsOnSilentSocket: Rule = {
    title: "is aborted at its deadline, and lets its worker stop during a probe",
    async run() {
      await mustTakeAtMost(stopWithinMs, "stopping", async () => {
        const silent = await bindSilent();
        try {
          await using started = await startAt(`127.0.0.1:${silent.address().port}`);
          let asked = 0;
          silent.on("message", () => asked++);
          const probing = probe(started, SHORT_MS);
          await untilAsked(probing, () => asked > 0);
          mustBeGivenUp(await probing);
          const again = probe(started, LONG_MS).catch(() => {});
          const tookMs = await timeStop(started, stopWithinMs);
          await again;
          return tookMs;
        } finally {
          await new Promise<void>((resolve) => silent.close(() => resolve()));
        }
      });
    },
  };
  const stopsWhenEndless: Rule = {
    title: "is aborted at its deadline, and lets its worker stop during a probe",
    skipped: endless === undefined ? "the check has no operation that could block" : undefined,
    async run() {
      await mustTakeAtMost(stopWithinMs, "stopping", async () => {
        await using started = await startAt(NOWHERE, endless);
        mustBeGivenUp(await probe(started, SHORT_MS));
        const again = probe(started, LONG_MS).catch(() => {});
        const tookMs = await timeStop(started, stopWithinMs);
        await again;
        return tookMs;
      });
    },
  };
  const overTcp: readonly Rule[] = [
    {
      title: "fails when nothing listens on the target, and names the target",
      async run() {
        using free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const target = `127.0.0.1:${free.addr.port}`;
        free.close();
        await using started = await startAt(target);
        const outcome = await probe(started, LONG_MS);
        must(outcome.status === "fail", "the probe passes although nothing listens on the target");
        must(outcome.reason.includes(target), `the reason does not name the target: ${outcome.reason}`);
      },
    },
    {
      title: "fails on a server that sends garbage or disconnects, and leaves no connection open",
      async run() {
        let next = 0;
        await using server = new ScriptedServer((connection) => sends(NONSENSE[next++] ?? "")(connection));
        await using started = await startAt(server.target);
        for (const nonsense of NONSENSE) {
          const { status } = await probe(started, LONG_MS);
          must(status === "fail", `the probe passes on a server that sends ${JSON.stringify(nonsense.slice(0, 20))}`);
        }
        must(
          server.accepted === NONSENSE.length,
          `${NONSENSE.length} probes made ${server.accepted} connections: expected one per probe`,
        );
        await eventually("all connections close", () => server.open === 0, { deadlineMs: ASKED_WITHIN_MS });
      },
    },
    {
      title: "is aborted at its deadline, closes its connections, and keeps working",
      async run() {
        await mustTakeAtMost(stopWithinMs, "closing the connection", async () => {
          await using server = new ScriptedServer(isSilent);
          await using started = await startAt(server.target);
          const probing = probe(started, SHORT_MS);
          await untilAsked(probing, () => server.accepted > 0);
          mustBeGivenUp(await probing);
          const tookMs = await timeUntil(() => server.open === 0, 10 * stopWithinMs);
          const { type } = await started.host.call({ type: "ping" }, WAIT);
          must(type === "pong", "the worker no longer responds");
          return tookMs;
        });
      },
    },
    {
      title: "lets its worker stop during a probe",
      async run() {
        await mustTakeAtMost(stopWithinMs, "stopping", async () => {
          await using server = new ScriptedServer(isSilent);
          await using started = await startAt(server.target);
          const probing = probe(started, LONG_MS).catch(() => {});
          await untilAsked(probing, () => server.open > 0);
          const stopMs = await timeStop(started, stopWithinMs);
          await probing;
          return Math.max(stopMs, await timeUntil(() => server.open === 0, 10 * stopWithinMs));
        });
      },
    },
  ];
  if (over === "udp") return [...common, stopsOnSilentSocket];
  if (over === "nothing") return [...common, stopsWhenEndless];
  return [...common, ...overTcp];
}

/** Finds out how a check reaches its target: it is shown an address where both kinds of sockets are silent. */
export async function findTransport(subject: Subject & { readonly config: unknown }): Promise<Transport> {
  await using server = new ScriptedServer(isSilent);
  const scope: Scope = { instance: `conformance/${subject.name}`, target: server.target };
  const described = await describe(subject.source, subject.config, scope);
  if (!described.ok || !(described.permissions.net ?? []).includes(server.target)) return "nothing";
  const silent = await bindSilent(server.port).catch(() => undefined);
  let datagrams = 0;
  silent?.on("message", () => datagrams++);
  try {
    await using started = await start(subject, subject.config, scope);
    const request = { type: "probe", instance: scope.instance, timeoutMs: ASKED_WITHIN_MS } as const;
    let isOver = false;
    const probing = started.host.call(request, WAIT).catch(() => {}).finally(() => isOver = true);
    await eventually("the server receives a query", () => isOver || datagrams > 0 || server.accepted > 0);
    void probing;
    return datagrams > 0 && server.accepted === 0 ? "udp" : "tcp";
  } finally {
    if (silent !== undefined) await new Promise<void>((resolve) => silent.close(() => resolve()));
  }
}

/** Binds a socket that never answers datagrams. */
async function bindSilent(port = 0): Promise<Socket> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, "127.0.0.1", resolve);
  });
  return socket;
}

/** Waits until a probe has asked its server. */
async function untilAsked(probing: Promise<unknown>, isAsked: () => boolean): Promise<void> {
  let isOver = false;
  probing.catch(() => {}).finally(() => isOver = true);
  await eventually("the server receives a query", () => isAsked() || isOver, { deadlineMs: ASKED_WITHIN_MS });
  must(isAsked(), "the probe ended before it queried the server");
}

/** How long it takes until something holds; `mostMs` if it does not. */
async function timeUntil(holds: () => boolean, mostMs: number): Promise<number> {
  const began = performance.now();
  await eventually("the condition holds", holds, { deadlineMs: mostMs, everyMs: 2 }).catch(() => {});
  return performance.now() - began;
}

function said(outcome: ProbeOutcome): string {
  return outcome.status === "pass" ? "pass" : `${outcome.status}: ${outcome.reason}`;
}
