/**
 * The entry of every worker: loads one plugin and serves its instances over a
 * private port. It contains no policy: what the plugin may touch is decided by the
 * permissions of this worker.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { type Answer, type Init, PROTOCOL_VERSION, type Request, type ToWorker } from "../src/protocol/messages.ts";
import { describeConfig, describeSection } from "../src/protocol/describe.ts";
import { formatDuration } from "../src/kernel/duration.ts";
import { ownFault } from "../src/kernel/own_fault.ts";
import { clean } from "../src/protocol/values.ts";
import { errorText, toWireError, type WireError } from "../src/protocol/wire_error.ts";
import type {
  BalancerPlugin,
  CheckPlugin,
  DiscoveryContext,
  DiscoveryPlugin,
  DiscoverySession,
  KeysFacts,
  PluginLog,
  SchemaIssue,
} from "../src/plugin/contract.ts";
import { answerQuestion, lackingFunction } from "../src/protocol/functions.ts";
import { BUILTINS, type PluginModule } from "./builtins.ts";
import { shapeFault } from "./plugin_shape.ts";
import { replaceConsole } from "./console.ts";
import { seal } from "./seal.ts";
import { keysPortion, Portions } from "./portions.ts";
import { Wire } from "./wire.ts";
import type { ClusterFacts } from "../src/model/topology.ts";

type Loaded = PluginModule["default"];

self.onmessage = ({ data }: MessageEvent<Init>) => {
  // Messages of a plugin on the global channel reach nobody.
  self.onmessage = null;
  const { v, module, port, openMax } = data;
  if (v !== PROTOCOL_VERSION) {
    throw new Error(`Cannot use protocol version ${v}: this worker uses version ${PROTOCOL_VERSION}`);
  }
  const wire = new Wire(port);
  const broken = (error: unknown) => wire.end(error);
  // Reported as data: otherwise Deno writes the plugin's error, with escape codes, to our stderr.
  self.addEventListener("error", (event) => {
    event.preventDefault();
    broken(event.error);
  });
  self.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    broken(event.reason);
  });
  replaceConsole((level, message) => wire.log("", level, message));
  // Event handlers get a reference to the port, so it is set before the plugin's code runs.
  const early: ToWorker[] = [];
  let receive = (message: ToWorker): void => void early.push(message);
  port.onmessage = ({ data: message }: MessageEvent<ToWorker>) => receive(message);
  void load(module, openMax).then(({ plugin, countOpen }) => {
    receive = serve(plugin, wire, countOpen);
    for (const message of early.splice(0)) receive(message);
  }).catch(broken);
};

/** Counts what a plugin has open; `undefined` for a built-in one, and where it cannot be counted. */
type CountOpen = () => number | undefined;

async function load(
  module: string,
  openMax: number,
): Promise<{ readonly plugin: Loaded; readonly countOpen: CountOpen }> {
  if (module.startsWith("data:")) {
    const { countOpen } = seal({ openMax });
    const plugin = ((await import(module)) as PluginModule).default;
    const fault = shapeFault(plugin);
    if (fault !== undefined) throw new TypeError(`not a plugin: ${fault}`);
    return { plugin, countOpen };
  }
  const builtin = BUILTINS.get(module.slice("builtin:".length));
  if (builtin === undefined) throw new Error(`Cannot load ${module}: no such built-in plugin`);
  return { plugin: (await builtin()).default, countOpen: () => undefined };
}

/** How a cluster or a prefix is watched. */
interface Followed<Facts> {
  /** Starts; `undefined` if the session cannot. */
  readonly start: (session: DiscoverySession, signal: AbortSignal) => AsyncIterable<Facts> | undefined;
  /** Splits an answer into portions. */
  readonly cut: (facts: Facts) => string[];
  /** Reports that it cannot continue. */
  readonly lost: (error: WireError) => Parameters<Wire["say"]>[0];
}

interface Instance {
  readonly config: unknown;
  readonly target: string;
  readonly log: PluginLog;
}

/** Serves a plugin; returns the handler of the host's messages. */
function serve(plugin: Loaded, wire: Wire, countOpen: CountOpen): (message: ToWorker) => void {
  const instances = new Map<string, Instance>();
  const requests = new Map<number, AbortController>();
  const watches = new Map<string, Watch>();
  let session: DiscoverySession | undefined;
  let opened: AbortController | undefined;
  /** Resolves when the last closed session has ended. */
  let closed: Promise<void> | undefined;

  /** A watch of a cluster or a prefix, and the host's permission to send its next answer. */
  interface Watch {
    readonly controller: AbortController;
    taken: PromiseWithResolvers<void>;
  }

  function logOf(instance: string): PluginLog {
    const record = (level: "debug" | "info" | "warn") => (message: string, properties?: Record<string, unknown>) =>
      wire.log(instance, level, message, properties);
    return { debug: record("debug"), info: record("info"), warn: record("warn") };
  }

  async function answer(message: Request, signal: AbortSignal): Promise<Answer> {
    switch (message.type) {
      case "ping":
        return { type: "pong", open: countOpen() };
      case "introduce": {
        const { kind, apiVersion, name, summary, stability, example } = plugin;
        return { type: "introduced", introduction: { kind, apiVersion, name, summary, stability, example } };
      }
      case "parse":
        throw new Error("Cannot parse a module in a worker that runs a plugin");
      case "describe": {
        const described = await describeConfig(plugin, message.raw, message.scope);
        if (!described.ok) return invalid(described.issues);
        const { config, permissions, traits } = described;
        return { type: "described", config, permissions, traits };
      }
      case "section": {
        const result = await describeSection(plugin, message.of, message.raw);
        return result.issues === undefined ? { type: "valid", config: result.value } : invalid(result.issues);
      }
      case "decide":
        return { type: "decided", decision: answerQuestion(balancer(plugin), message.question) };
      case "start": {
        const { instance, config, scope } = message;
        instances.set(instance, { config, target: scope.target ?? "", log: logOf(instance) });
        if (plugin.kind === "discovery") await open(plugin, config, { scope, log: logOf(instance) });
        return { type: "ack" };
      }
      case "probe":
        return await probe(message.instance, message.timeoutMs, signal);
      case "notify": {
        const { config } = started(message.instance);
        if (plugin.kind !== "notifier") {
          throw new Error(`Cannot notify: the plugin is a ${plugin.kind}, not a notifier`);
        }
        await plugin.notify(message.events, config, signal);
        return { type: "ack" };
      }
      case "register":
      case "deregister":
      case "deregisterOwn": {
        if (session === undefined) throw new Error("Cannot reach the registry: no open session");
        const { cluster, registration } = message;
        if (session[message.type] === undefined) {
          throw new Error(`Cannot ${message.type}: this discovery lacks the capability`);
        }
        const done = await session[message.type]?.(cluster, registration, signal);
        return { type: "ack", ...done && { takenFrom: done.takenFrom } };
      }
      default:
        message satisfies never;
        throw new Error(`Cannot handle a message of type ${(message as { type: string }).type}: unknown type`);
    }
  }

  function started(name: string): Instance {
    const instance = instances.get(name);
    if (instance === undefined) throw new Error(`Cannot use ${name}: no such instance is running`);
    return instance;
  }

  async function probe(name: string, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
    const { config, target, log } = started(name);
    const beganMs = performance.now();
    const overdue = Promise.withResolvers<{ status: "fail"; reason: string }>();
    const giveUp = () => overdue.resolve({ status: "fail", reason: `No response within ${formatDuration(timeoutMs)}` });
    signal.addEventListener("abort", giveUp, { once: true });
    const probing = (plugin as CheckPlugin).probe(config, { target, signal, log });
    // After the deadline nobody waits for the plugin; a later error is dropped.
    probing.catch(() => {});
    try {
      const outcome = await Promise.race([probing, overdue.promise]);
      return { type: "outcome", outcome, tookMs: performance.now() - beganMs };
    } catch (error) {
      const lack = ownFault(error);
      if (lack === undefined) throw error;
      return {
        type: "outcome",
        outcome: { status: "unknown", reason: `Cannot probe: ${lack}` },
        tookMs: performance.now() - beganMs,
      };
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  async function open(
    discovery: DiscoveryPlugin,
    config: unknown,
    { scope, log }: Pick<DiscoveryContext, "scope" | "log">,
  ): Promise<void> {
    await close();
    const controller = new AbortController();
    opened = controller;
    const next = await discovery.open(config, {
      scope,
      signal: controller.signal,
      log,
      connection: (state, detail) => wire.connection(state, detail),
    });
    if (controller.signal.aborted) return await next[Symbol.asyncDispose]();
    const lacks = lackingFunction(discovery.capabilities, next);
    if (lacks !== undefined) {
      await next[Symbol.asyncDispose]();
      throw new TypeError(`Cannot use the session: its capabilities require the function ${lacks}()`);
    }
    session = next;
    void next.ended.then(async (reason) => {
      if (session !== next) return;
      // Sent first: a slow close of an ended session must not delay the next one.
      wire.say({ type: "ended", reason: typeof reason === "string" ? clean(reason) : errorText(reason) });
      await close().catch(unclosed);
    });
  }

  async function close(): Promise<void> {
    const old = session;
    session = undefined;
    for (const watch of watches.values()) watch.controller.abort();
    watches.clear();
    if (old !== undefined) closed = Promise.try(() => old[Symbol.asyncDispose]());
    await closed;
    opened?.abort();
    opened = undefined;
  }

  function unclosed(error: unknown): void {
    logOf("").warn("Cannot close the session", { error: String(error) });
  }

  /** Watches a cluster or a prefix of keys, until it is ended or lost. */
  async function follow<Facts>(id: string, { start, cut, lost }: Followed<Facts>): Promise<void> {
    if (watches.has(id)) return;
    const watch: Watch = { controller: new AbortController(), taken: Promise.withResolvers<void>() };
    watches.set(id, watch);
    const { signal } = watch.controller;
    signal.addEventListener("abort", () => watch.taken.resolve(), { once: true });
    try {
      if (session === undefined) throw new Error("Cannot watch: no open session");
      const answers = start(session, signal);
      if (answers === undefined) throw new Error("Cannot watch: this discovery lacks the capability");
      for await (const facts of answers) {
        if (signal.aborted) return;
        watch.taken = Promise.withResolvers();
        wire.snapshot(cut(facts));
        await watch.taken.promise;
        if (signal.aborted) return;
      }
      throw new Error("the plugin ended the watch");
    } catch (error) {
      if (signal.aborted) return;
      watches.delete(id);
      wire.say(lost(toWireError(error)));
    }
  }

  function unfollow(id: string): void {
    watches.get(id)?.controller.abort();
    watches.delete(id);
  }

  const receive = async (message: ToWorker): Promise<void> => {
    switch (message.type) {
      case "more":
        return wire.more();
      case "heard":
        return wire.heard();
      case "watch": {
        const { cluster, of: name = cluster, withoutMetadata, config } = message;
        const portions = new Portions(cluster, { withoutMetadata });
        const options = { withoutMetadata, ...config !== undefined && { config } };
        return await follow<ClusterFacts>(`cluster ${cluster}`, {
          start: (session, signal) => session.watch?.(name, signal, options),
          cut: (facts) => portions.next(facts),
          lost: (error) => ({ type: "lost", cluster, error }),
        });
      }
      case "unwatch":
        return unfollow(`cluster ${message.cluster}`);
      case "taken":
        return watches.get(`cluster ${message.cluster}`)?.taken.resolve();
      case "keys": {
        const { stream, prefix } = message;
        return await follow<KeysFacts>(`keys ${stream}`, {
          start: (session, signal) => session.keys?.(prefix, signal),
          cut: (facts) => [keysPortion(stream, facts)],
          lost: (error) => ({ type: "keysLost", stream, error }),
        });
      }
      case "endKeys":
        return unfollow(`keys ${message.stream}`);
      case "takenKeys":
        return watches.get(`keys ${message.stream}`)?.taken.resolve();
      case "abort":
        return requests.get(message.seq)?.abort();
      case "stop":
        for (const request of requests.values()) request.abort();
        // What cannot be closed ends with the worker anyway.
        await close().catch(unclosed);
        wire.say({ type: "stopped" });
        return self.close();
    }
    const { seq } = message;
    // No timers here: the host owns time, and the first setTimeout would cost a worker 1.6 MB.
    const controller = new AbortController();
    requests.set(seq, controller);
    try {
      wire.answer(await answer(message, controller.signal), seq);
    } catch (error) {
      wire.say({ type: "nack", seq, error: toWireError(error) });
    } finally {
      requests.delete(seq);
    }
  };
  wire.say({ type: "loaded", kind: plugin.kind, apiVersion: plugin.apiVersion, name: plugin.name });
  return receive;
}

function balancer(plugin: Loaded): BalancerPlugin {
  if (plugin.kind !== "balancer") {
    throw new Error(`Cannot call a balancer function: the plugin is a ${plugin.kind}, not a balancer`);
  }
  return plugin;
}

/** A schema's issues, in a form that crosses the wire. */
function invalid(issues: readonly SchemaIssue[]): Answer {
  return {
    type: "invalid",
    issues: issues.map(({ message, path, unknownKey }) => ({
      message,
      path: (path ?? []).map((part) => typeof part === "object" ? part.key : part).map(toPathPart),
      unknownKey,
    })),
  };
}

function toPathPart(key: PropertyKey): string | number {
  return typeof key === "number" ? key : String(key);
}
