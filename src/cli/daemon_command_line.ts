import { parseDuration } from "../kernel/duration.ts";
import { isHostName, isIpv4, isIpv6 } from "../model/endpoint.ts";
import { parseStatusAddress } from "../model/status_address.ts";
import type { DaemonArguments } from "./daemon_arguments.ts";

/** Reads the value of an option; `undefined` for an invalid value. */
type ReadValue = (text: string) => unknown;

const oneOf = (...values: readonly string[]): ReadValue => (text) => values.find((value) => value === text);
const whichIs = (isRight: (text: string) => boolean): ReadValue => (text) => isRight(text) ? text : undefined;
const file = whichIs((text) => text !== "");

/** The options of all daemons, and what each is called in {@linkcode DaemonArguments}. */
const OPTIONS: ReadonlyMap<string, readonly [key: string, read: ReadValue]> = new Map([
  ["--log-level", ["logLevel", oneOf("debug", "info", "warning", "error")]],
  ["--log-format", ["logFormat", oneOf("auto", "human", "logfmt", "json")]],
  ["--host", ["host", whichIs(isHostName)]],
  ["--ip", ["ip", whichIs((text) => isIpv4(text) || isIpv6(text))]],
  ["--peer-port", ["peerPort", readPort]],
  ["--status", ["status", parseStatusAddress]],
  ["--admin", ["admin", parseStatusAddress]],
  ["--admin-tokens", ["adminTokens", file]],
  ["--admin-tls-cert", ["adminTlsCert", file]],
  ["--admin-tls-key", ["adminTlsKey", file]],
  ["--lifecycle", ["lifecycle", parseStatusAddress]],
]);

const WRITER_OPTIONS: typeof OPTIONS = new Map([...OPTIONS, ["--timeout", ["timeoutMs", readTimeout]]]);
const WRITER_FLAGS: ReadonlyMap<string, string> = new Map([["--once", "once"], ["--no-reload", "noReload"]]);

/**
 * Reads the usual command line of `writer`, `reporter` or `run`. Returns `undefined` for anything else, a
 * mistake included: the library that reads all commands, writes help and explains mistakes reads that line
 * again. Loading and running that library takes a fifth of a daemon's start.
 */
export function readDaemonArguments([command, ...args]: readonly string[]): DaemonArguments | undefined {
  if (command !== "writer" && command !== "reporter" && command !== "run") return undefined;
  const [options, flags] = command === "writer" ? [WRITER_OPTIONS, WRITER_FLAGS] : [OPTIONS, new Map()];
  const given = new Map<string, unknown>();
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] as string;
    const equals = arg.startsWith("--") ? arg.indexOf("=") : -1;
    const name = equals === -1 ? arg : arg.slice(0, equals);
    const [key, value] = read(name, equals === -1 ? () => args[++at] : () => arg.slice(equals + 1));
    if (key === undefined || value === undefined || given.has(key)) return undefined;
    given.set(key, value);
  }
  if (!given.has("dir")) return undefined;
  const absent = [...options.values()].map(([key]) => [key, undefined]);
  return {
    ...Object.fromEntries(absent),
    logFormat: "auto",
    ...command === "writer" && { once: false, noReload: false, timeoutMs: 60_000 },
    ...Object.fromEntries(given),
    command,
  } as DaemonArguments;

  function read(name: string, valueOf: () => string | undefined): readonly [key?: string, value?: unknown] {
    if (!name.startsWith("-")) return name === "" ? [] : ["dir", name];
    const flag = flags.get(name);
    if (flag !== undefined && args.includes(name)) return [flag, true];
    const option = options.get(name);
    const text = option && valueOf();
    return option === undefined || text === undefined || text.startsWith("-") ? [] : [option[0], option[1](text)];
  }
}

function readPort(text: string): number | undefined {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

function readTimeout(text: string): number | undefined {
  const ms = parseDuration(text);
  return ms === undefined || ms < 100 || ms > 3_600_000 ? undefined : ms;
}
