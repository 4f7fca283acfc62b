/**
 * Rules for every notifier: deliver within its deadline, report when it could
 * not, and live through a signal that is aborted.
 *
 * @module
 */
import type { NotifiedEvent, Scope } from "../plugin/contract.ts";
import { addressesIn } from "../plugin/policy.ts";
import { WorkerDeadlineError } from "../supervisor/plugin_host.ts";
import { eventually } from "./eventually.ts";
import { pluginRules, start, type Started, STOP_WITHIN_MS, type Subject, timeStop, WAIT } from "./plugin_rules.ts";
import { readdress } from "./readdress.ts";
import { must, mustTakeAtMost, type Rule } from "./rule.ts";
import { isSilent, ScriptedServer } from "./scripted_server.ts";

/** A notifier under test. */
export interface NotifierSubject extends Subject {
  /** A valid config; nobody need answer at its addresses. */
  readonly example: unknown;
  /** Whether what takes events answers where the example says. */
  readonly isLive: boolean;
}

const EVENT: NotifiedEvent = {
  event: "registry.unreachable",
  level: "warn",
  message: "Registry unreachable; serving last known good members",
  atMs: 0,
  fields: { worker: "conformance", detail: "test event of the conformance suite" },
};
/** How long a notifier has that somebody answers. */
const LONG_MS = 10_000;
/** The deadline of one that nobody answers. */
const SHORT_MS = 300;
/** How long it may take to ask its server. */
const ASKED_WITHIN = { deadlineMs: 5_000 };

/** The rules for a notifier. */
export function notifierRules(subject: NotifierSubject): readonly Rule[] {
  const { name, example, isLive, stopWithinMs = STOP_WITHIN_MS } = subject;
  const scope: Scope = { instance: name };
  const addresses = [...addressesIn(example)].filter((address) => !address.startsWith("unix:"));
  const addressless = addresses.length === 0 ? "the config has no address" : undefined;
  const open = (config: unknown) => start(subject, config, scope);
  const notify = ({ host }: Started, timeoutMs: number) => host.notify(name, [EVENT, EVENT], { timeoutMs });
  /** Starts it with a server that takes connections and says nothing, and has it begin to deliver. */
  const withSilence = async (
    timeoutMs: number,
    run: (started: Started, delivering: Promise<string>) => Promise<number>,
  ) => {
    await using server = new ScriptedServer(isSilent);
    await using started = await open(readdress(example, new Map(addresses.map((each) => [each, server.target]))));
    const delivering = notify(started, timeoutMs).then(
      () => "a delivery that no server accepted is reported as delivered",
      (error) => error instanceof WorkerDeadlineError ? "the delivery continued after the signal was aborted" : "",
    );
    await eventually("the server receives a query", () => server.accepted > 0, ASKED_WITHIN);
    return await run(started, delivering);
  };

  return [
    ...pluginRules("notifier", subject, { scope, config: () => example }),
    {
      title: "delivers events within its deadline, repeatedly",
      skipped: isLive ? undefined : "no server was given",
      async run() {
        await using started = await open(example);
        for (let i = 0; i < 2; i++) await notify(started, LONG_MS);
      },
    },
    {
      title: "is aborted at its deadline, reports the timeout, and keeps working",
      skipped: addressless,
      async run() {
        await withSilence(SHORT_MS, async (started, delivering) => {
          for (
            const each of [
              delivering,
              notify(started, SHORT_MS).then(
                () => "the delivery succeeded although the server sent no response",
                () => "",
              ),
            ]
          ) {
            const fault = await each;
            must(fault === "", fault);
          }
          const { type } = await started.host.call({ type: "ping" }, WAIT);
          must(type === "pong", "the worker no longer responds");
          return 0;
        });
      },
    },
    {
      title: "lets its worker stop during a delivery",
      skipped: addressless,
      async run() {
        await mustTakeAtMost(stopWithinMs, "stopping", () =>
          withSilence(LONG_MS, async (started, delivering) => {
            const tookMs = await timeStop(started, stopWithinMs);
            await delivering;
            return tookMs;
          }));
      },
    },
  ];
}
