/**
 * One node that is kept registered while a command runs: what the command line
 * says becomes a service that is validated as a file of `services/` is, and a
 * reporter of that service alone.
 *
 * @module
 */
import type { Accepted } from "../config/accepted.ts";
import type { Desired } from "../config/desired.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import { type ConfigSource, UNREAD } from "../config/reading.ts";
import { readService } from "../config/service_schema.ts";
import { Source } from "../config/source.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { Json } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import { App } from "./app.ts";
import type { Identity } from "./host_facts.ts";
import { CATALOG, loadBalancer } from "./plugins.ts";
import { readDirectory, type Validated } from "./validate.ts";

/** A check of the node, as the command line says it. */
export interface RequestedCheck {
  readonly type: string;
  readonly config: { readonly [key: string]: Json };
}

/** What is to be registered, as the command line says it. */
export interface RegistrationRequest {
  readonly discovery: string;
  readonly cluster: ClusterName;
  readonly ip: string;
  readonly port: number;
  readonly metadata: { readonly [key: string]: Json };
  readonly checks: readonly RequestedCheck[];
  /** The format of the value in the registry: the key `format` of the discovery's section. */
  readonly format?: string | undefined;
  /** How long the registry keeps the node of a process that died. */
  readonly ttlMs?: number | undefined;
}

/** What the findings about a command line name as their file. */
const COMMAND_LINE = "command line";
/** How often the checks of a command line probe, in seconds. */
const INTERVAL = 2;
/** The key of each discovery that ships and has leases or sessions. */
const TTL_KEYS: Readonly<Record<string, string>> = {
  etcd: "session_timeout",
  file: "ttl",
  lighthouse: "ttl",
  zookeeper: "session_timeout",
};
/** The wait before a reporter that broke is replaced. */
const RESTART_MS = 1_000;

/** Writes a request as a file of `services/` would; the section of a service that there is applies. Pure. */
export function serviceFileOf(
  { discovery, cluster, ip, port, metadata, checks, format }: RegistrationRequest,
  { services }: Pick<Desired, "services">,
): { readonly [key: string]: unknown } {
  const like = [...services.values()].filter(({ name }) => name === cluster).flatMap(({ sources }) => sources)
    .find((each) => each.discovery === discovery);
  const section = { ...like?.options, ...format !== undefined && { format } };
  return {
    discovery,
    name: cluster,
    host: ip,
    port,
    metadata,
    checks: {
      interval: INTERVAL,
      ...Object.fromEntries(checks.map(({ type, config }, at) => [
        `${type}-${at + 1}`,
        { type, rise: 1, fall: 2, ...config },
      ])),
    },
    ...Object.keys(section).length > 0 && { [discovery]: section },
  };
}

/** What {@linkcode requestedConfig} answers. */
type Requested =
  | { readonly ok: true; readonly desired: Desired }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Leaves of a config the one discovery, and puts the request in the place of all services. Pure. */
export function requestedConfig(desired: Desired, request: RegistrationRequest): Requested {
  const fault = (message: string): Requested => ({
    ok: false,
    diagnostics: [{ severity: "error", file: COMMAND_LINE, message }],
  });
  const { discovery: name, cluster, ttlMs } = request;
  const file = desired.discovery.get(name);
  if (file === undefined) return fault(`No valid discovery/${name}.yaml`);
  const ttlKey = TTL_KEYS[file.type];
  if (ttlMs !== undefined && ttlKey === undefined) {
    return fault(`Cannot apply --ttl: nodes in discovery/${name}.yaml (${file.type}) have no lease`);
  }
  const source = new Source(
    COMMAND_LINE,
    new TextEncoder().encode(JSON.stringify(serviceFileOf(request, desired), null, 2)),
  );
  const { value: service, findings } = readService(source.value, {
    fileName: cluster,
    plugins: CATALOG.names("check"),
    discovery: [name],
  });
  const diagnostics = findings.filter(({ severity }) => severity === "error").map((each) => source.diagnose(each));
  if (service === undefined) return { ok: false, diagnostics };
  const config = ttlMs === undefined || ttlKey === undefined
    ? file.config
    : { ...file.config, [ttlKey]: ttlMs / 1_000 };
  return {
    ok: true,
    desired: {
      ...desired,
      // The command has ended when its node is deregistered: nobody has to be waited for.
      settings: { ...desired.settings, deregisterGraceMs: 0 },
      balancers: new Map(),
      notifiers: new Map(),
      clusters: new Map(),
      clusterFiles: [],
      discovery: new Map([[name, { ...file, config }]]),
      services: new Map([[cluster, service]]),
      sources: new Map([...desired.sources, [`services/${cluster}`, source]]),
      drafts: { clusters: new Map(), services: new Map() },
    },
  };
}

/** Has the plugins validate a request; what was accepted has the one service, or there are errors. */
export async function prepareRegistration(dir: string, request: RegistrationRequest): Promise<Validated> {
  let requested: Requested | undefined;
  const { accepted, diagnostics } = await readDirectory(dir, (desired) => {
    requested = requestedConfig(desired, request);
    return requested.ok ? requested.desired : desired;
  });
  if (requested?.ok === false) return { accepted: undefined, diagnostics: [...diagnostics, ...requested.diagnostics] };
  // What a plugin does not know of a command line would be lost.
  const judged = diagnostics.map((each) =>
    each.file === COMMAND_LINE && each.severity === "warning" ? { ...each, severity: "error" as const } : each
  );
  const isUsable = accepted?.services.has(request.cluster) === true && accepted.discovery.has(request.discovery) &&
    !judged.some(({ file, severity }) => file === COMMAND_LINE && severity === "error");
  return { accepted: isUsable ? accepted : undefined, diagnostics: judged };
}

/**
 * Keeps what was accepted registered until the signal is aborted, then deregisters it. A reporter that breaks is
 * replaced, and its successor takes the node over. Never throws.
 */
export async function keepRegistered(accepted: Accepted, { dir, identity, clock, random, log, signal, onApp }: {
  readonly dir: string;
  /** What the node is announced as. */
  readonly identity: Identity;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: { part(name: string): Logger };
  readonly signal: AbortSignal;
  /** Is given each reporter, to end it when it is broken. */
  readonly onApp: (app: Pick<App, "fail">) => void;
}): Promise<void> {
  while (!signal.aborted) {
    const app = new App({
      dir,
      role: "reporter",
      identify: () => Promise.resolve(identity),
      catalog: CATALOG,
      loadBalancer,
      clock,
      random,
      log,
      machine: { configs: unchanging(accepted) },
    });
    onApp(app);
    try {
      await app.run(signal);
    } catch (error) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.part("app").error("Internal error; registering again", { event: "registration.broken", reason });
    }
    await delay(RESTART_MS, { clock, signal }).catch(() => {});
  }
}

/** A config that stays as it is. */
function unchanging(accepted: Accepted): ConfigSource {
  return {
    reading: UNREAD,
    lookAgain() {},
    async *configs(signal) {
      yield { accepted, sources: new Map() };
      if (signal.aborted) return;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    },
  };
}
