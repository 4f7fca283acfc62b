import type { Identity } from "../app/host_facts.ts";
import { keepRegistered, prepareRegistration, type RequestedCheck } from "../app/kept_registration.ts";
import type { HostSettings } from "../config/desired.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { HostPort } from "../model/endpoint.ts";
import { type Json, parseNode } from "../model/node.ts";
import { complainOfConfig } from "./config_complaint.ts";
import { LastResort } from "./last_resort.ts";

/** The arguments of `register`. */
export interface RegisterArguments {
  readonly discovery: string;
  readonly cluster: string;
  readonly address: HostPort;
  /** The name of the node's host; else this host's. */
  readonly name?: string | undefined;
  readonly format?: string | undefined;
  readonly ttlMs?: number | undefined;
  readonly metadata: { readonly [key: string]: Json };
  readonly checks: readonly RequestedCheck[];
  /** The program and its arguments. */
  readonly run: readonly string[];
}

/** The functions of the process that `register` needs. */
export interface RegisterOptions {
  readonly dir: string;
  /** Where the command runs. */
  readonly cwd: string;
  /** Determines the identity of this host, given the settings of `host.yaml`. */
  readonly identify: (said: HostSettings) => Promise<Identity>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: { part(name: string): Logger };
  /** Receives each error line. */
  readonly complain: (line: string) => void;
}

/** The exit codes of `timeout` and `env`: not started, not executable, not found. */
const EXIT = { unprepared: 125, unrunnable: 126, missing: 127 } as const;

/** The signals that are forwarded to the command. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Runs a command and keeps a node registered while it runs; returns the exit status of the command. */
export async function runRegistered(given: RegisterArguments, options: RegisterOptions): Promise<number> {
  const { discovery, cluster, address: { host: ip, port }, metadata } = given;
  const { dir, identify, complain } = options;
  const prepared = await prepareRegistration(dir, { ...given, discovery, cluster, ip, port, metadata });
  const { accepted } = prepared;
  if (accepted === undefined) {
    complainOfConfig(prepared, {
      complain,
      reason: `Cannot register ${ip}:${port} in ${cluster}; command not started`,
    });
    return EXIT.unprepared;
  }
  const name = given.name ?? accepted.host.name;
  const { facts, refusal } = await identify({ ...accepted.host, name, ip });
  const node = parseNode({ host: facts.fqdn, ip, port, metadata });
  if (!node.ok || refusal !== undefined) {
    const unnamed = `Cannot register a node for host ${facts.fqdn}: every host has this name; ` +
      "set --name, or name in host.yaml";
    complain(`${node.ok ? unnamed : node.reason}; command not started`);
    return EXIT.unprepared;
  }
  const identity = { facts: { ...facts, ip }, isProvisional: false };
  return await runWhile(
    given.run,
    options,
    (signal, onApp) => keepRegistered(accepted, { ...options, identity, signal, onApp }),
  );
}

type Keep = (signal: AbortSignal, onApp: (app: { fail(): void }) => void) => Promise<void>;

/** Runs a command; what is kept is kept from its start on, and let go before its status is answered. */
async function runWhile(
  [program = "", ...args]: readonly string[],
  { cwd, log, complain }: RegisterOptions,
  keep: Keep,
): Promise<number> {
  let child: Deno.ChildProcess | undefined;
  // A Ctrl-C reaches the command by the terminal already.
  const signals = FORWARDED.filter((signal) => signal !== "SIGINT" || !Deno.stdin.isTerminal());
  using _forwarding = hearSignals(FORWARDED, (signal) => {
    if (signals.includes(signal)) forward(child, signal);
  });
  try {
    child = new Deno.Command(program, { args, cwd, stdin: "inherit", stdout: "inherit", stderr: "inherit" }).spawn();
  } catch (error) {
    complain(`Cannot run ${program}: ${error instanceof Error ? error.message : String(error)}`);
    return error instanceof Deno.errors.NotFound ? EXIT.missing : EXIT.unrunnable;
  }
  const stop = new AbortController();
  let app: { fail(): void } | undefined;
  using _lastResort = new LastResort((reason) => {
    log.part("app").error("Internal error; registering again", { event: "registration.broken", reason });
    app?.fail();
  });
  const kept = keep(stop.signal, (newest) => app = newest);
  const { code } = await child.status;
  stop.abort();
  await kept;
  return code;
}

function forward(child: Deno.ChildProcess | undefined, signal: Deno.Signal): void {
  try {
    child?.kill(signal);
  } catch {
    // It has ended.
  }
}

function hearSignals(
  signals: readonly (typeof FORWARDED)[number][],
  hear: (signal: (typeof FORWARDED)[number]) => void,
): Disposable {
  using stack = new DisposableStack();
  for (const signal of signals) {
    const heard = () => hear(signal);
    Deno.addSignalListener(signal, heard);
    stack.defer(() => Deno.removeSignalListener(signal, heard));
  }
  return stack.move();
}
