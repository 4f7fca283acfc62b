/**
 * memcached: passes when the server reports its version, and has memory for
 * more, by memcached's text protocol.
 *
 * @module
 */
import type { CheckPlugin } from "./lighthouse.ts";
import { type Config, validate } from "./config.ts";
import { ask } from "./ask.ts";

const plugin: CheckPlugin<Config> = {
  kind: "check",
  apiVersion: 1,
  name: "memcached",
  summary: "Passes when a memcached reports its version and its statistics",
  stability: "stable",
  example: { max_fill_percent: 100 },
  config: { "~standard": { version: 1, vendor: "memcached", validate } },
  // The address that it probes, and nothing else.
  permissions: (_config, { target }) => ({ net: target === undefined ? [] : [target] }),

  async probe({ max_fill_percent }, { target, signal }) {
    let lines: readonly string[];
    try {
      lines = await ask(target, "version\r\nstats\r\n", "END", signal);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot ask ${target}: ${message}`, { cause: error });
    }
    const [, version] = /^VERSION (\S+)$/.exec(lines[0] ?? "") ?? [];
    if (version === undefined) {
      return { status: "fail", reason: `${target} answers ${JSON.stringify(lines[0] ?? "")}: want VERSION` };
    }
    const stats = new Map(lines.map((line) => line.split(" ")).map(([, name, value]) => [name, Number(value)]));
    const fill = Math.round(100 * (stats.get("bytes") ?? 0) / (stats.get("limit_maxbytes") ?? Infinity));
    if (fill > max_fill_percent) {
      return { status: "fail", reason: `${target} is ${fill} % full: want at most ${max_fill_percent} %` };
    }
    return { status: "pass", detail: `memcached ${version}, ${fill} % full` };
  },
};

export default plugin;
