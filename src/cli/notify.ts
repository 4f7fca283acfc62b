import { deliverOnce } from "../app/notifier_trial.ts";
import { readDirectory } from "../app/validate.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/random.ts";
import { suggest } from "../kernel/suggest.ts";
import { complainOfConfig } from "./config_complaint.ts";
import { EXIT } from "./exit_codes.ts";

/** What `notify test` needs of the process. */
export interface NotifyOptions {
  readonly dir: string;
  readonly clock: Clock;
  readonly random: Random;
  /** The time of day in milliseconds. */
  readonly wallNow: () => number;
  readonly hostname: string;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
}

/** Has a notifier deliver one event; answers the exit code. */
export async function testNotifier(
  { notifier: name }: { readonly notifier: string },
  { dir, clock, random, wallNow, hostname, signal, print, complain }: NotifyOptions,
): Promise<number> {
  const directory = await readDirectory(dir);
  const { accepted } = directory;
  const notifier = accepted?.notifiers.get(name);
  if (accepted === undefined || notifier === undefined) {
    const meant = suggest(name, [...accepted?.notifiers.keys() ?? []]);
    const hint = meant === undefined ? "" : `: did you mean ${meant}?`;
    return complainOfConfig(directory, { reason: `No valid notifiers/${name}.yaml${hint}`, complain });
  }
  const event = {
    event: "notifier.test",
    level: "info",
    message: "Lighthouse notifier test",
    atMs: wallNow(),
    fields: { notifier: name, host: hostname },
  } as const;
  try {
    await deliverOnce(notifier.instance, event, { clock, random, signal });
    print(`${name} (${notifier.file.type}) delivered notifier.test`);
    return EXIT.ok;
  } catch (error) {
    if (signal.aborted) throw error;
    complain(
      `${name} (${notifier.file.type}) failed to deliver notifier.test: ${
        error instanceof Error ? error.message : error
      }`,
    );
    return EXIT.failed;
  }
}
