import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { Meter } from "../metrics/meter.ts";
import type { Decider } from "../plugin/decider.ts";
import type { BalancerUse } from "../plugin/source.ts";
import { ForeignBalancer } from "../supervisor/foreign_balancer.ts";
import { renderApart } from "../supervisor/rendering_apart.ts";
import type { Hangs } from "../supervisor/hangs.ts";
import { ownRoom } from "../supervisor/room.ts";

export interface BalancerPluginsOptions {
  /** Loads a balancer that ships; it is pure and runs in the host. */
  readonly loadBuiltin: (type: string) => Promise<Decider>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter | undefined;
  /** What hung is not run again for a while, or ever. */
  readonly hangs?: Hangs | undefined;
  /** Adapts each plugin before it is used; the same for all. */
  readonly adapt?: ((plugin: Decider) => Decider) | undefined;
}

/**
 * The plugins of balancers: those that ship run in the host, but for what renders apart; each other one in
 * a worker of its own for each balancer, which is kept as long as plugin and
 * grant are the same and somebody uses it.
 */
export class BalancerPlugins implements AsyncDisposable {
  readonly #options: BalancerPluginsOptions;
  readonly #apart = new Map<string, Decider & AsyncDisposable>();
  /** What was made of each plugin by `adapt`: plugins are compared by identity. */
  readonly #adapted = new Map<Decider, Decider>();
  /** Those that were asked for since others were last ended. */
  readonly #asked = new Set<string>();

  constructor(options: BalancerPluginsOptions) {
    this.#options = options;
  }

  /** Opens a balancer's plugin; the very same as before if nothing has changed. */
  async open(use: BalancerUse): Promise<Decider> {
    const plugin = await this.#open(use);
    const { adapt } = this.#options;
    if (adapt === undefined) return plugin;
    const adapted = this.#adapted.get(plugin) ?? adapt(plugin);
    this.#adapted.set(plugin, adapted);
    return adapted;
  }

  async #open({ name, type, source }: BalancerUse): Promise<Decider> {
    const builtin = source.origin === "builtin" ? await this.#options.loadBuiltin(type) : undefined;
    if (builtin !== undefined && builtin.rendersInWorker !== true) return builtin;
    const key = JSON.stringify([name, source.module, source.allow ?? null]);
    this.#asked.add(key);
    await ownRoom.prepare({ isForeign: true, isDiscovery: false });
    let plugin = this.#apart.get(key);
    if (plugin === undefined) {
      const options = { ...this.#options, name, source };
      plugin = builtin === undefined
        ? new ForeignBalancer(options) as Decider & AsyncDisposable
        : renderApart(builtin, options);
      this.#apart.set(key, plugin);
    }
    return plugin;
  }

  /** Ends one, if it does not run in the host. */
  async end(plugin: Decider): Promise<void> {
    const found = [...this.#apart].find(([, apart]) => apart === plugin || this.#adapted.get(apart) === plugin);
    if (found === undefined) return;
    this.#apart.delete(found[0]);
    await found[1][Symbol.asyncDispose]();
  }

  /**
   * Ends all that are neither among those in use nor were asked for since the
   * last time: one that was not accepted rests until it is tried again.
   */
  async keep(used: ReadonlySet<Decider>): Promise<void> {
    const ending = [...this.#apart].filter(([key, plugin]) =>
      !used.has(this.#adapted.get(plugin) ?? plugin) && !this.#asked.has(key)
    );
    this.#asked.clear();
    for (const [key] of ending) this.#apart.delete(key);
    await Promise.all(ending.map(([, plugin]) => plugin[Symbol.asyncDispose]()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#asked.clear();
    await this.keep(new Set());
  }
}
