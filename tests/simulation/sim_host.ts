import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { App, type Role } from "../../src/app/app.ts";
import type { BalancerEffects } from "../../src/balance/effects.ts";
import type { WriterDecide } from "../../src/balance/writer.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import type { BalancerPlugin } from "../../src/plugin/contract.ts";
import { acceptedOf, SimConfigs, type SimDesired } from "./sim_config.ts";
import { type SimHostWorld, SimThreads } from "./sim_threads.ts";

/**
 * The digest of the topology file needs a thread of its own, and real time.
 * Here the digest is constant: nothing reads that file again.
 */
Object.defineProperty(crypto.subtle, "digest", { value: () => Promise.resolve(new ArrayBuffer(32)) });

/** One life of the program on a host. */
interface Life {
  readonly app: App;
  readonly stop: AbortController;
  readonly threads: SimThreads;
  readonly configs: SimConfigs;
  readonly ended: Promise<unknown>;
  /** Whether the program was killed: whatever it still does has no effect. */
  isDead: boolean;
  /** Whether it has ended. */
  isOver: boolean;
}

export interface SimHostOptions {
  readonly role: Role;
  readonly world: SimHostWorld;
  readonly desired: SimDesired;
  /** The balancer; a host without one must be a reporter. */
  readonly effects?: BalancerEffects | undefined;
  /** Reads a file of the host's disk; `undefined` if there is none. */
  readonly readFile: (path: string) => string | undefined;
  /** The balancer plugin; one with a bug for canaries. */
  readonly plugin?: BalancerPlugin | undefined;
  /** The writer's decision; one with a bug for canaries. */
  readonly decide?: WriterDecide | undefined;
  /** How long the last verdict stands while a check cannot be made; different for canaries. */
  readonly unknownGraceMs?: number | undefined;
}

/** A host that runs the whole program except its threads: the real app on the world's clock. */
export class SimHost {
  readonly #options: SimHostOptions;
  readonly #lives: Life[] = [];
  /** The persisted commands of operators. */
  readonly #kept = new Map<string, string>();
  desired: SimDesired;

  constructor(options: SimHostOptions) {
    this.#options = options;
    this.desired = options.desired;
    this.start();
  }

  /** Its workers. */
  get threads(): SimThreads {
    return this.#life.threads;
  }

  /** Begins a life. */
  start(): void {
    const { role, world, effects, readFile, decide, plugin = haproxy as never as BalancerPlugin } = this.#options;
    const stop = new AbortController();
    const threads = new SimThreads(world);
    const configs = new SimConfigs();
    const app = new App({
      dir: "/sim",
      role,
      identify: () =>
        Promise.resolve({ facts: { fqdn: `${world.name}.sim`, ip: addressOf(world.name) }, isProvisional: false }),
      catalog: { find: () => undefined, names: () => [] },
      loadBalancer: () => Promise.resolve(plugin),
      clock: world.clock,
      wallNow: () => world.clock.now(),
      random: world.random,
      log: { part: () => SILENT },
      machine: {
        configs,
        threads,
        effects: () => mortal(effects, () => life.isDead),
        ...decide && { decide },
        disk: {
          read: (path) =>
            Promise.try(() =>
              this.#kept.get(path) ?? readFile(path) ??
                Promise.reject(new Deno.errors.NotFound("No such file"))
            ),
          write: (path, text) => {
            if (path.endsWith(".overrides") && !life.isDead) this.#kept.set(path, text);
            return Promise.resolve();
          },
        },
      },
    });
    const ended = app.run(stop.signal).then(() => void (life.isOver = true));
    const life: Life = { app, stop, threads, configs, isDead: false, isOver: false, ended };
    this.#lives.push(life);
    configs.put(acceptedOf(this.desired, plugin, this.#options.unknownGraceMs));
  }

  /** Has an operator pause or resume the balancer; returns whether that was done. */
  async pause(isPaused: boolean): Promise<boolean> {
    const life = this.#life;
    const said = { author: "operator", balancer: "haproxy" };
    const result = await life.app.operator.carryOut(
      isPaused ? { verb: "pause", ...said, reason: "work", forMs: 3_600_000 } : { verb: "resume", ...said },
      life.stop.signal,
    );
    // A step that has begun is carried out, and reported.
    return result.ok && result.warnings.length === 0 && !life.isDead && !life.stop.signal.aborted;
  }

  /** Whether the last life is over, so that another may begin. */
  get isOver(): boolean {
    return this.#life.isOver || this.#life.isDead;
  }

  /** Edits the host's config. */
  configure(desired: SimDesired): void {
    this.desired = desired;
    this.#life.configs.put(acceptedOf(desired, this.#options.plugin, this.#options.unknownGraceMs));
  }

  /** Asks the program to end. */
  stop(): void {
    this.#life.stop.abort();
  }

  /** Makes the program fail, so that it ends to be restarted. */
  fail(): void {
    this.#life.app.fail();
  }

  /** Kills the program: nothing is deregistered, nothing is closed. */
  kill(): void {
    const life = this.#life;
    life.isDead = true;
    life.threads.cut();
    life.stop.abort();
  }

  /** Resolves when all its lives have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#lives.map(({ ended }) => ended));
  }

  get #life(): Life {
    const life = this.#lives.at(-1);
    if (life === undefined) throw new Error("The host was never started");
    return life;
  }
}

/** The address of a host, from the last letter of its name. */
export function addressOf(host: string): string {
  return `10.0.0.${host.charCodeAt(host.length - 1) - 96}`;
}

/** Effects that reach the balancer for as long as the program lives. */
function mortal(effects: BalancerEffects | undefined, isDead: () => boolean): BalancerEffects {
  const alive = (): BalancerEffects => {
    if (effects === undefined || isDead()) throw new Error("The process is dead");
    return effects;
  };
  return {
    observe: async (...args) => await alive().observe(...args),
    watchSocket: async (sources, signal) => await effects?.watchSocket(sources, signal),
    softStop: async (...args) => await alive().softStop(...args),
    version: async (...args) => await alive().version(...args),
    programFile: (program) => alive().programFile(program),
    execute: async (...args) => await alive().execute(...args),
    executeHeld: async (...args) => await alive().executeHeld?.(...args) ?? [],
  };
}
