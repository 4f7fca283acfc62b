import type { Health } from "../../src/status/health.ts";
import type { Status } from "../../src/status/status_shape.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";

/** The deadline of an answer. */
const ANSWER_MS = 10_000;

/** Asks a daemon for its status, at a port of its own. */
export class StatusClient {
  readonly #port = freePort();

  /** The daemon's status address. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** The daemon's flags. */
  get flags(): readonly string[] {
    return ["--status", this.address];
  }

  /** Requests a path, optionally with another Host header. */
  async ask(path: string): Promise<Response> {
    return await fetch(`http://${this.address}${path}`, { signal: AbortSignal.timeout(ANSWER_MS) });
  }

  /** The whole status. */
  async status(): Promise<Status> {
    return await (await this.ask("/status")).json();
  }

  /** The health, and the HTTP status of the answer. */
  async health(): Promise<Health & { readonly code: number }> {
    const response = await this.ask("/health");
    return { code: response.status, ...await response.json() };
  }

  /** Waits until the status is as expected; returns it. */
  async until(what: string, is: (status: Status) => boolean): Promise<Status> {
    let seen: Status | undefined;
    return await eventually(what, async () => {
      seen = await this.status().catch(() => undefined);
      return seen !== undefined && is(seen) && seen;
    }, { everyMs: 50 }).catch((error) => {
      throw new Error(`${error.message}: last seen ${JSON.stringify(seen, null, 2)}`);
    });
  }

  /** Waits until the health is as expected; returns it. */
  async untilHealth(
    what: string,
    is: (health: Health & { readonly code: number }) => boolean,
  ): Promise<Health & { readonly code: number }> {
    let seen: Health & { readonly code: number } | undefined;
    return await eventually(what, async () => {
      seen = await this.health().catch(() => undefined);
      return seen !== undefined && is(seen) && seen;
    }, { everyMs: 50 }).catch((error) => {
      throw new Error(`${error.message}: last seen ${JSON.stringify(seen, null, 2)}`);
    });
  }
}
