/**
 * The command line: the only file that knows arguments, signals and exit codes.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };
import { App } from "./app/app.ts";
import type { Arguments } from "./cli/arguments.ts";
import type { DaemonArguments } from "./cli/daemon_arguments.ts";
import { readDaemonArguments } from "./cli/daemon_command_line.ts";
import { EXIT, EXIT_OF } from "./cli/exit_codes.ts";
import { LastResort } from "./cli/last_resort.ts";
import { StopSignals } from "./cli/stop_signals.ts";
import { describeVersion } from "./cli/version.ts";
import { learnHostFacts, type SaidOfHost, systemSources } from "./app/host_facts.ts";
import { History } from "./history/history.ts";
import type { HostSettings } from "./config/desired.ts";
import { redact, redactLine } from "./config/redact.ts";
import { systemClock } from "./kernel/clock.ts";
import { escapeLines } from "./kernel/quote.ts";
import { systemRandom } from "./kernel/random.ts";
import type { Logger } from "./kernel/logger.ts";
import { Meters, UNMETERED } from "./metrics/meter.ts";
import { Tally } from "./metrics/tally.ts";
import { openSpans } from "./publish/spans.ts";
import type { PublisherTarget } from "./publish/target.ts";
import type { EventRecord } from "./model/event_record.ts";
import type { Publishing } from "./status/publishing.ts";
import type { StatusReport } from "./status/report.ts";
import type { StatusAddress } from "./model/status_address.ts";
import { Log, type LogFormat, type LogLevel } from "./logging/log.ts";
import { readOpenFiles } from "./system/open_files.ts";
import { SystemdReports } from "./system/systemd_reports.ts";
import { findMissingTools } from "./system/processes.ts";
import { CATALOG, loadBalancer, makePluginLoader } from "./app/plugins.ts";

const encoder = new TextEncoder();

/**
 * A relative directory is meant from where the command was typed: a task runs
 * in the project's directory, and says in INIT_CWD where it was called.
 */
function fromHere(dir: string): string {
  const typedIn = Deno.env.get("INIT_CWD");
  return dir.startsWith("/") || typedIn === undefined || typedIn === Deno.cwd() ? dir : `${typedIn}/${dir}`;
}

async function daemon(given: DaemonArguments): Promise<number> {
  if (given.command === "writer" && given.noReload && !given.once) {
    complain("lighthouse: --no-reload requires --once. See: lighthouse writer --help");
    return EXIT.usage;
  }
  await using log = openLog(given);
  const sources = systemSources();
  const hasServer = given.admin !== undefined || given.status !== undefined || given.lifecycle !== undefined;
  // A program reads the limit, and the modules of the servers are loaded meanwhile.
  const openFilesMax = hasServer ? readOpenFiles().then((files) => files?.limit, () => undefined) : undefined;
  const stop = new AbortController();
  await using history = keepHistory(log, given.command);
  const tally = new Tally();
  // What nobody can read is not counted.
  const meters = new Meters();
  if (given.status !== undefined) meters.add(tally);
  const spans = openSpans({ version: config.version, wallNow: Date.now });
  if (spans !== undefined) meters.add(spans);
  let lookAgain = () => {};
  using _systemd = reportToSystemd(log);
  let hear = (_record: EventRecord) => {};
  log.listen((record) => hear(record));
  // Heard from the first moment on.
  using _signals = hearSignals({ stop, log: log.part("app"), onHangup: () => lookAgain() });
  await using publishing = publishMetrics({
    open: async () => {
      const { Publishing } = await import("./status/publishing.ts");
      meters.add(tally);
      return new Publishing({
        app,
        version: config.version,
        pid: Deno.pid,
        clock: systemClock,
        wallNow: Date.now,
        random: systemRandom,
        log: log.part("publish"),
        tally,
        meter: given.status === undefined ? tally : UNMETERED,
      });
    },
    fail: (reason) => fail(reason),
  });
  const app: App = new App({
    dir: fromHere(given.dir),
    role: given.command,
    identify: (said) => learnHostFacts(saidOfHost(given, said), sources),
    catalog: CATALOG,
    loadBalancer,
    pluginLoader: (onLate, hangs) => makePluginLoader({ log: log.part("plugins"), onLate, hangs }),
    clock: systemClock,
    random: systemRandom,
    stateDirectory: stateDirectory(),
    log,
    meter: meters,
    onLogging: (logging) => log.configure(logging),
    onTaken: ({ accepted: { settings }, sources }) => {
      const state = stateDirectory();
      history.takeConfig({ dir: settings.historyDir ?? (state && `${state}/history`), config: sources });
      publishing.apply(settings.publishers ?? new Map());
    },
    onInstalled: (balancer, { path, contents, when }) =>
      history.install(balancer, { path, text: contents, isRead: when === "now" }),
    ...given.command === "writer" && given.once &&
      { once: { deadlineMs: given.timeoutMs, reloads: !given.noReload } },
  });
  lookAgain = () => app.lookAgain();
  hear = (record) => app.hear(record);
  let isBroken = false;
  const fail = (reason: string) => {
    log.part("app").error("Internal error, shutting down (exit 70)", { event: "process.failed", reason });
    isBroken = true;
    app.fail();
  };
  using _lastResort = new LastResort(fail);
  // Starting a program takes the time of reading the config, which comes first.
  using _tools = { [Symbol.dispose]: systemClock.after(TOOLS_MS, () => void reportMissingTools(log.part("app"))) };
  try {
    await using admin = given.admin &&
      await serveAdmin(given.admin, { given, app, log: log.part("admin"), openFilesMax });
    if (given.admin !== undefined && admin === undefined) return EXIT.failed;
    lookAgain = () => {
      app.lookAgain();
      void admin?.reload();
    };
    await using served = given.status &&
      await serveStatus(given.status, { app, log: log.part("status"), tally, openFilesMax });
    if (given.status !== undefined && served === undefined) return EXIT.failed;
    const quit = () => stop.abort();
    await using lifecycle = given.lifecycle &&
      await serveScheduler(given.lifecycle, { given, app, log: log.part("lifecycle"), quit, openFilesMax });
    if (given.lifecycle !== undefined && lifecycle === undefined) return EXIT.failed;
    const ending = await app.run(stop.signal);
    return isBroken ? EXIT.broken : EXIT_OF[ending];
  } catch (error) {
    fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return EXIT.broken;
  }
}

/** Publishes metrics where the config wants it; what that takes is loaded with the first publisher. */
function publishMetrics(
  { open, fail }: { readonly open: () => Promise<Publishing>; readonly fail: (reason: string) => void },
): AsyncDisposable & { apply(wanted: ReadonlyMap<string, PublisherTarget>): void } {
  let opened: Promise<Publishing> | undefined;
  return {
    apply(wanted) {
      if (wanted.size === 0 && opened === undefined) return;
      opened ??= open();
      opened.then((publishing) => publishing.apply(wanted)).catch((error) => fail(String(error)));
    },
    async [Symbol.asyncDispose]() {
      await (await opened)?.[Symbol.asyncDispose]();
    },
  };
}

/** Where this process may keep its state, as systemd says; `undefined` if nobody does. */
function stateDirectory(): string | undefined {
  return Deno.env.get("STATE_DIRECTORY")?.split(":")[0] || undefined;
}

/** Has the history hear what is logged. */
function keepHistory(log: Log, role: DaemonArguments["command"]): History {
  const part = log.part("history");
  const history = new History({ role, pid: Deno.pid, clock: systemClock, log: part, redact: redactLine });
  log.listen((record) => history.hear(record));
  return history;
}

/** A variable of the environment, if this process may read it: flags of one's own may not name it. */
function unlessDenied(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined;
  }
}

/** Reports to systemd when the config is applied and when the process stops, and that the main loop turns. */
function reportToSystemd(log: Log): Disposable {
  const parts = new DisposableStack();
  const socket = unlessDenied("NOTIFY_SOCKET");
  const watchdogMicroseconds = Number(unlessDenied("WATCHDOG_USEC") ?? NaN);
  const request = socket === undefined || socket === "" ? undefined : { socket, watchdogMicroseconds };
  const systemd = SystemdReports.open(request, `lighthouse-${Deno.pid}-${crypto.randomUUID()}`);
  if (systemd === undefined) return parts;
  parts.use(systemd);
  log.listen(({ event, fields }) => {
    if (event === "config.applied") {
      systemd.report({ READY: "1", STATUS: `${fields.clusters} clusters, ${fields.services} services` });
    }
    if (event === "process.stopping") systemd.report({ STOPPING: "1", STATUS: "Stopping" });
  });
  const { aliveEveryMs } = systemd;
  if (aliveEveryMs === undefined) return parts;
  let cancel = () => {};
  const live = () => {
    systemd.report({ WATCHDOG: "1" });
    cancel = systemClock.after(aliveEveryMs, live);
  };
  live();
  parts.defer(() => cancel());
  return parts;
}

/** So long after its start a daemon looks which programs it can run. */
const TOOLS_MS = 1_000;

/** Reports what a daemon cannot see on a machine without the programs that show it. */
async function reportMissingTools(log: Logger): Promise<void> {
  const missing = await findMissingTools();
  if (missing.length === 0) return;
  log.warn("Cannot inspect other processes; programs missing", {
    event: "process.tools",
    missing: missing.join(", "),
    unseen: "HAProxy master, orphan processes, stuck worker threads, open file limits",
  });
}

/** Hears the signals of a daemon: to end in order, to end at once, to look again. */
function hearSignals(
  { stop, log, onHangup }: {
    readonly stop: AbortController;
    readonly log: Logger;
    readonly onHangup: () => void;
  },
): Disposable {
  const signals = new DisposableStack();
  signals.use(
    new StopSignals({
      stop: () => stop.abort(),
      exit: (code, signal) => {
        log.warn(`Second signal, exiting at once (exit ${code})`, { event: "process.killed", signal });
        Deno.exit(code);
      },
      now: () => performance.now(),
    }),
  );
  Deno.addSignalListener("SIGHUP", onHangup);
  signals.defer(() => Deno.removeSignalListener("SIGHUP", onHangup));
  return signals;
}

/** Serves how the daemon stands; what that takes is loaded only where it is wanted. */
async function serveStatus(
  address: StatusAddress,
  { app, log, tally, openFilesMax }: {
    readonly app: App;
    readonly log: Logger;
    readonly tally: Tally;
    readonly openFilesMax: Promise<number | undefined> | undefined;
  },
): Promise<AsyncDisposable | undefined> {
  const { serveStatus } = await import("./status/serve_status.ts");
  try {
    return await serveStatus(address, {
      app,
      version: config.version,
      pid: Deno.pid,
      clock: systemClock,
      log,
      tally,
      openFilesMax: await openFilesMax,
    });
  } catch (error) {
    log.error(error instanceof Error ? error.message : String(error), { event: "status.unavailable" });
    return undefined;
  }
}

/** Serves what a scheduler asks of a task; what that takes is loaded only where it is asked for. */
async function serveScheduler(
  address: StatusAddress,
  { given, app, log, quit, openFilesMax }: {
    readonly given: DaemonArguments;
    readonly app: App;
    readonly log: Logger;
    readonly quit: () => void;
    readonly openFilesMax: Promise<number | undefined> | undefined;
  },
): Promise<AsyncDisposable | undefined> {
  const { serveLifecycle } = await import("./admin/lifecycle_server.ts");
  const { judgeHealth } = await import("./status/health.ts");
  const { statusOf } = await import("./status/status.ts");
  const startedMs = systemClock.now();
  try {
    return await serveLifecycle({
      address,
      whyFailing() {
        const about = { version: config.version, pid: Deno.pid, startedMs, nowMs: systemClock.now(), lateMs: 0 };
        return judgeHealth(statusOf(app.parts, about)).reasons?.join("; ");
      },
      quit,
      additions: given.command === "reporter" ? undefined : app.additions,
      clock: systemClock,
      wallNow: Date.now,
      log,
      openFilesMax: await openFilesMax,
    });
  } catch (error) {
    log.error(error instanceof Error ? error.message : String(error), { event: "lifecycle.unavailable" });
    return undefined;
  }
}

/** Serves what an operator may change; what that takes is loaded only where it is asked for. */
async function serveAdmin(
  address: StatusAddress,
  { given, app, log, openFilesMax }: {
    readonly given: DaemonArguments;
    readonly app: App;
    readonly log: Logger;
    readonly openFilesMax: Promise<number | undefined> | undefined;
  },
) {
  const { AdminServer } = await import("./admin/admin_server.ts");
  const { adminTokens, adminTlsCert: cert, adminTlsKey: key } = given;
  let report: StatusReport | undefined;
  const standing = async () => {
    const { StatusReport } = await import("./status/report.ts");
    // It lives as long as the process.
    return report ??= new StatusReport({
      app,
      version: config.version,
      pid: Deno.pid,
      clock: systemClock,
      startedMs: 0,
    });
  };
  try {
    if ((cert === undefined) !== (key === undefined)) {
      throw new Error("Cannot use TLS: requires both --admin-tls-cert and --admin-tls-key");
    }
    return await AdminServer.start({
      address,
      tokensFile: adminTokens && fromHere(adminTokens),
      tls: cert === undefined || key === undefined ? undefined : { cert: fromHere(cert), key: fromHere(key) },
      operator: app.operator,
      additions: given.command === "reporter" ? undefined : app.additions,
      explain: async () => {
        const { explained } = await import("./app/explain.ts");
        const details = await app.details();
        return explained(app.parts, systemClock.now(), details);
      },
      standing: async () => {
        const report = await standing();
        const status = report.status;
        return { status, health: report.judge(status) };
      },
      clock: systemClock,
      wallNow: Date.now,
      log,
      openFilesMax: await openFilesMax,
    });
  } catch (error) {
    log.error(error instanceof Error ? error.message : String(error), { event: "admin.unavailable" });
    return undefined;
  }
}

type StoreArguments = Extract<Arguments, { readonly command: "store" }>;

async function store(given: Exclude<StoreArguments, { readonly action: unknown }>): Promise<number> {
  using log = openLog(given);
  const stop = new AbortController();
  let reload = () => Promise.resolve();
  using _signals = hearSignals({ stop, log: log.part("store"), onHangup: () => void reload() });
  try {
    const file = (path: string | undefined) => path === undefined ? undefined : fromHere(path);
    const { serveStore } = await import("./cli/store.ts");
    await serveStore({
      ...given,
      dataDir: fromHere(given.dataDir),
      tokens: file(given.tokens),
      peerToken: file(given.peerToken),
      peerCa: file(given.peerCa),
      tlsCert: file(given.tlsCert),
      tlsKey: file(given.tlsKey),
      tlsClientCa: file(given.tlsClientCa),
    }, {
      version: config.version,
      clock: systemClock,
      random: systemRandom,
      wallNow: Date.now,
      log: log.part("store"),
      signal: stop.signal,
      onServing: (again) => reload = again,
    });
    return EXIT.ok;
  } catch (error) {
    log.part("store").error(error instanceof Error ? error.message : String(error), { event: "store.failed" });
    return EXIT.failed;
  }
}

/** Speaks to a store, until it is done or asked to end. */
async function speakToStore(given: Extract<StoreArguments, { readonly action: unknown }>): Promise<number> {
  const stop = new AbortController();
  using _signals = stopOnSignals(stop);
  const { runStoreCommand } = await import("./cli/store_commands.ts");
  return await runStoreCommand(given, {
    clock: systemClock,
    signal: stop.signal,
    fromHere,
    readStdin: () => new Response(Deno.stdin.readable).text(),
    write: (text) => writeAll(Deno.stdout, text),
    complain,
    runEditor,
    ask: (question, letters) => {
      if (!Deno.stdin.isTerminal()) return undefined;
      for (;;) {
        const answer = prompt(`${question} [${[...letters].join("/")}]`)?.trim().toLowerCase() ?? "n";
        if (answer.length === 1 && letters.includes(answer)) return answer;
      }
    },
  });
}

/** Ends a command in order on the first SIGTERM or SIGINT, and at once on a second. */
function stopOnSignals(stop: AbortController): StopSignals {
  return new StopSignals({
    stop: () => stop.abort(),
    exit: (code) => Deno.exit(code),
    now: () => performance.now(),
  });
}

/** Has a file edited as the environment says: a command line, to which the file is added. */
async function runEditor(file: string): Promise<number> {
  const editor = Deno.env.get("VISUAL") || Deno.env.get("EDITOR") || "vi";
  const command = new Deno.Command("sh", { args: ["-c", `${editor} "$1"`, "sh", file] });
  return (await command.spawn().status).code;
}

/** A flag is said on purpose; the file is for when nothing is said. */
function saidOfHost(
  { host, ip, peerPort }: Pick<DaemonArguments, "host" | "ip"> & Partial<Pick<DaemonArguments, "peerPort">>,
  said: HostSettings,
): SaidOfHost {
  return { fqdn: host ?? said.name, ip: ip ?? said.ip, peerPort: peerPort ?? said.peerPort, zone: said.zone };
}

function openLog(
  given: {
    readonly command: string;
    readonly logLevel?: LogLevel | undefined;
    readonly logFormat: LogFormat;
  },
): Log {
  return new Log({
    level: given.logLevel,
    format: given.logFormat,
    terminal: Deno.stderr.isTerminal(),
    redact,
    write: (line) => writeAll(Deno.stderr, line),
    handlers: {
      clock: systemClock,
      process: { program: given.command.toUpperCase(), pid: Deno.pid },
      streams: { stdout: Deno.stdout, stderr: Deno.stderr },
      resolve: fromHere,
    },
  });
}

/** Writes to the standard error what may quote a plugin, a server or a file. */
function complain(text: string): void {
  writeAll(Deno.stderr, `${escapeLines(text)}\n`);
}

/** Writes a text whole, and answers whether it was read; a reader that went away is no reason to fail. */
function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  try {
    for (let bytes = encoder.encode(text); bytes.length > 0;) bytes = bytes.subarray(to.writeSync(bytes));
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    return false;
  }
}

/** Does what the command says; what one command alone needs is loaded for it alone, so that a daemon starts soon. */
async function main(given: Arguments): Promise<number> {
  const print = (line: string) => writeAll(Deno.stdout, `${line}\n`);
  switch (given.command) {
    case "check": {
      const [{ check }, { findUnusableFiles }] = await Promise.all([
        import("./cli/check.ts"),
        import("./logging/log_files.ts"),
      ]);
      const candidates = new Map(given.candidates.map(({ name, path }) => [name, fromHere(path)]));
      return await check({
        ...given,
        dir: fromHere(given.dir),
        candidates,
        findUnusableFiles: (logging) => findUnusableFiles(logging, fromHere),
        identify: (said) => learnHostFacts(saidOfHost(given, said)),
        color: Deno.stdout.isTerminal(),
        print,
        complain,
      });
    }
    case "plan": {
      const { plan } = await import("./cli/plan.ts");
      using log = openLog(given);
      return await plan({
        dir: fromHere(given.dir),
        waitMs: given.waitMs,
        identify: (said) => learnHostFacts(saidOfHost(given, said)),
        log: log.part("plan"),
        print,
      });
    }
    case "nodes": {
      const { listNodes } = await import("./cli/nodes.ts");
      const stop = new AbortController();
      using _signals = stopOnSignals(stop);
      return await listNodes({ ...given, format: given.format?.template }, {
        dir: fromHere(given.dir),
        identify: (said) => learnHostFacts(saidOfHost(given, said)),
        clock: systemClock,
        random: systemRandom,
        signal: stop.signal,
        // A watch whose reader went away has nothing left to do.
        print: (line) => writeAll(Deno.stdout, `${line}\n`) || stop.abort(),
        complain,
      });
    }
    case "register": {
      const { runRegistered } = await import("./cli/register.ts");
      await using log = openLog({ ...given, logFormat: "auto" });
      return await runRegistered(given, {
        dir: fromHere(given.dir),
        cwd: fromHere("."),
        identify: (said) => learnHostFacts(saidOfHost({ host: undefined, ip: undefined }, said)),
        clock: systemClock,
        random: systemRandom,
        log,
        complain,
      });
    }
    case "bridge": {
      const { bridge } = await import("./cli/bridge.ts");
      await using log = openLog({ ...given, logFormat: "auto" });
      const stop = new AbortController();
      using _signals = stopOnSignals(stop);
      return await bridge(given, {
        dir: fromHere(given.dir),
        clock: systemClock,
        random: systemRandom,
        log: log.part("bridge"),
        signal: stop.signal,
        print,
        complain,
      });
    }
    case "operator": {
      const { commandOf, runOperatorCommand, userName } = await import("./cli/operator.ts");
      const stop = new AbortController();
      using _signals = stopOnSignals(stop);
      const { command: _command, dir, admin, tokenFile, ca, timeoutMs, json, ...said } = given;
      const named = "author" in said ? { ...said, author: said.author ?? await userName() } : said;
      const asked = "local" in named ? commandOf(named) : named;
      if (typeof asked === "string") {
        complain(`lighthouse: ${asked}. See: lighthouse ${said.verb} --help`);
        return EXIT.usage;
      }
      const waitMs = "wait" in said && said.wait ? said.waitMs : undefined;
      return await runOperatorCommand(
        asked,
        { dir: fromHere(dir), admin, tokenFile, ca, timeoutMs, json, waitMs },
        { fromHere, clock: systemClock, signal: stop.signal, print, complain },
      );
    }
    case "import": {
      const { runImport } = await import("./cli/import.ts");
      const out = given.out === undefined ? {} : { out: fromHere(given.out) };
      const input = "input" in given ? { ...given, input: fromHere(given.input) } : given;
      return await runImport({ ...input, ...out }, { print, complain });
    }
    case "notify": {
      const { testNotifier } = await import("./cli/notify.ts");
      const stop = new AbortController();
      using _signals = stopOnSignals(stop);
      return await testNotifier(given, {
        dir: fromHere(given.dir),
        clock: systemClock,
        random: systemRandom,
        wallNow: Date.now,
        hostname: Deno.hostname(),
        signal: stop.signal,
        print,
        complain,
      });
    }
    case "status": {
      const { printStatus } = await import("./cli/status.ts");
      const stop = new AbortController();
      using _signals = stopOnSignals(stop);
      return await printStatus(given, {
        dir: fromHere(given.dir),
        fromHere,
        clock: systemClock,
        signal: stop.signal,
        color: Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR"),
        print: (line) => writeAll(Deno.stdout, `${line}\n`) || stop.abort(),
        complain,
      });
    }
    case "doctor": {
      const { doctor } = await import("./cli/doctor.ts");
      const stop = new AbortController();
      using _signals = stopOnSignals(stop);
      return await doctor(given, {
        dir: fromHere(given.dir),
        fromHere,
        identify: (said) => learnHostFacts(saidOfHost({ host: undefined, ip: undefined }, said)),
        stateDirectory: stateDirectory(),
        clock: systemClock,
        random: systemRandom,
        signal: stop.signal,
        color: Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR"),
        print,
        complain,
      });
    }
    case "history": {
      const { printHistory } = await import("./cli/history.ts");
      const stop = new AbortController();
      using _signals = stopOnSignals(stop);
      const { command: _command, dir, journal, ...asked } = given;
      return await printHistory({ ...asked, journal: journal && fromHere(journal) }, {
        dir: fromHere(dir),
        stateDirectory: stateDirectory(),
        clock: systemClock,
        wallNow: Date.now,
        signal: stop.signal,
        color: Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR"),
        print: (line) => writeAll(Deno.stdout, `${line}\n`) || stop.abort(),
        complain,
      });
    }
    case "plugin": {
      const { plugin } = await import("./cli/plugin.ts");
      return await plugin(given, { fromHere, clock: systemClock, print, complain });
    }
    case "store":
      return await ("action" in given ? speakToStore(given) : store(given));
    default:
      return await daemon(given);
  }
}

// The parser's own answer has room for one line only.
if (Deno.args[0] === "--version") {
  writeAll(
    Deno.stdout,
    `${await describeVersion({ version: config.version, root: new URL("../", import.meta.url) })}\n`,
  );
  Deno.exit(0);
}
const given = readDaemonArguments(Deno.args) ??
  (await import("./cli/arguments.ts")).readArguments(Deno.args) ??
  (await import("./cli/help.ts")).help(Deno.args, { version: config.version, complain });
try {
  Deno.exit(await main(given));
} catch (error) {
  complain(`lighthouse: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  Deno.exit(EXIT.failed);
}
