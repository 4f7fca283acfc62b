/**
 * What the files about this host may say: `lighthouse.yaml` and `host.yaml`.
 * Pure.
 *
 * @module
 */
import { formatDuration } from "../kernel/duration.ts";
import { converted, houseSchema, integer, keys, matching, optional, refined, seconds } from "../kernel/schema.ts";
import { isHostName, isIpv4, isIpv6 } from "../model/endpoint.ts";
import { isZone } from "../model/node.ts";
import type { HostSettings, Settings } from "./desired.ts";
import { type Checked, validateKnown } from "../kernel/known_keys.ts";
import { publisherFaults, publishersKey, publishersOf } from "../publish/target.ts";
import { deepFreeze, port } from "./schema_words.ts";

/** What `lighthouse.yaml` says when it says nothing. */
export const DEFAULT_SETTINGS: Settings = Object.freeze({
  isolation: "worker",
  updates: Object.freeze({ burst: 100, rate: 10, maxMs: 500 }),
  deregisterGraceMs: 0,
  maxAgeMs: 7 * 86_400_000,
});

/** The keys of `lighthouse.yaml`. */
export const settingsSchema = refined(
  refined(
    houseSchema(keys({
      isolation: optional(
        converted((value) => value === "worker" || value === "shared" ? value : undefined, "worker or shared"),
      ),
      updates: optional(keys({
        burst: optional(integer({ min: 1, max: 10_000 })),
        rate: optional(integer({ min: 1, max: 1_000 })),
        quiet: optional(seconds({ min: 0, max: 60 })),
        max: optional(seconds({ min: 0, max: 60 }), DEFAULT_SETTINGS.updates.maxMs / 1_000),
      })),
      deregister_grace: optional(seconds({ min: 0, max: 300 }), DEFAULT_SETTINGS.deregisterGraceMs / 1_000),
      max_age: optional(seconds({ min: 60, max: 315_360_000 }), DEFAULT_SETTINGS.maxAgeMs / 1_000),
      plugin_cache: optional(matching(/^\/./, "an absolute path")),
      topology_file: optional(matching(/^\/.*[^/]$/, "an absolute file path")),
      drained_file: optional(matching(/^\/.*[^/]$/, "an absolute file path")),
      overrides_file: optional(matching(/^\/.*[^/]$/, "an absolute file path")),
      history_dir: optional(matching(/^\/./, "an absolute path")),
      publishers: optional(publishersKey()),
    })),
    ({ publishers }) => publisherFaults(publishers),
    ["publishers"],
  ),
  ({ updates }) => {
    const { quiet, max = 0, burst, rate } = updates ?? {};
    if (quiet === undefined) return [];
    const fault = burst !== undefined || rate !== undefined
      ? "quiet together with burst or rate: quiet already sets both; remove quiet"
      : quiet > max
      ? `updates.quiet: must be <= updates.max (${formatDuration(max * 1_000)}); current value is ${
        formatDuration(quiet * 1_000)
      }`
      : undefined;
    return fault === undefined ? [] : [{ path: ["updates"], message: `Cannot use ${fault}` }];
  },
  ["updates"],
);

/** Reads how changes are joined; a pause that makes a cluster quiet is one change at once, and one for each such pause from then on. */
function readUpdates(
  { burst, rate, quiet, max }: {
    readonly burst?: number | undefined;
    readonly rate?: number | undefined;
    readonly quiet?: number | undefined;
    readonly max?: number | undefined;
  } = {},
): Settings["updates"] {
  const standing = DEFAULT_SETTINGS.updates;
  const maxMs = max === undefined ? standing.maxMs : max * 1_000;
  if (quiet !== undefined) return { burst: 1, rate: 1 / quiet, maxMs };
  return { burst: burst ?? standing.burst, rate: rate ?? standing.rate, maxMs };
}

/** Reads `lighthouse.yaml`. */
export function readSettings(raw: unknown): Checked<Settings> {
  const { value, findings } = validateKnown(raw ?? {}, settingsSchema["~standard"].validate);
  if (value === undefined) return { value, findings };
  const { isolation = DEFAULT_SETTINGS.isolation, updates } = value;
  const {
    plugin_cache: pluginCache,
    topology_file: topologyFile,
    overrides_file: overridesFile,
    drained_file: drainedFile,
    history_dir: historyDir,
  } = value;
  const settings = {
    isolation,
    updates: readUpdates(updates),
    maxAgeMs: value.max_age * 1_000,
    deregisterGraceMs: value.deregister_grace * 1_000,
    ...pluginCache === undefined ? {} : { pluginCache },
    ...topologyFile === undefined ? {} : { topologyFile },
    ...overridesFile === undefined ? {} : { overridesFile },
    ...drainedFile === undefined ? {} : { drainedFile },
    ...historyDir === undefined ? {} : { historyDir },
    ...value.publishers === undefined ? {} : { publishers: publishersOf(value.publishers) },
  };
  return { value: deepFreeze(settings), findings };
}

/** What `host.yaml` says when it says nothing. */
export const DEFAULT_HOST: HostSettings = Object.freeze({});

const HOST = houseSchema(keys({
  name: optional(
    converted((value) => typeof value === "string" && isHostName(value) ? value : undefined, "a host name"),
  ),
  ip: optional(
    converted(
      (value) => typeof value === "string" && (isIpv4(value) || isIpv6(value)) ? value : undefined,
      "an IPv4 or IPv6 address",
    ),
  ),
  peer_port: optional(port()),
  zone: optional(
    converted(
      (value) => isZone(value) ? value : undefined,
      "a zone name of 1 to 64 letters, digits, dots, hyphens and underscores",
    ),
  ),
}));

/** Reads `host.yaml`. */
export function readHost(raw: unknown): Checked<HostSettings> {
  const { value, findings } = validateKnown(raw ?? {}, HOST["~standard"].validate);
  if (value === undefined) return { value, findings };
  const { name, ip, peer_port, zone } = value;
  return {
    value: Object.freeze({
      ...(name === undefined ? {} : { name }),
      ...(ip === undefined ? {} : { ip }),
      ...(peer_port === undefined ? {} : { peerPort: peer_port }),
      ...(zone === undefined ? {} : { zone }),
    }),
    findings,
  };
}
