/**
 * Where metrics are pushed to: the key `publishers` of `lighthouse.yaml`. Pure.
 *
 * @module
 */
import { converted, type Issue, keys, mapOf, matching, optional, seconds, unwanted } from "../kernel/schema.ts";
import { isHostName, isIpv4, isIpv6, parseEndpoint } from "../model/endpoint.ts";

/** One publisher. */
export interface PublisherTarget {
  readonly type: "statsd" | "opentsdb" | "graphite";
  readonly host: string;
  readonly port: number;
  readonly intervalMs: number;
  /** Stands before each name; `undefined`: nothing does. */
  readonly prefix: string | undefined;
  /** Further tags of each sample. */
  readonly tags: Readonly<Record<string, string>>;
}

/** The keys of one publisher, as they are written. */
interface PublisherKeys {
  readonly type: PublisherTarget["type"];
  readonly address: { readonly host: string; readonly port: number };
  readonly interval: number;
  readonly prefix?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** OpenTSDB takes 8 tags of a sample: three labels, `host` and `role` are its own. */
const OPENTSDB_TAGS_MAX = 3;
const NAME = /^[\w.-]{1,64}$/;
const TAG_NAME = /^[A-Za-z][\w./-]{0,63}$/;

/** The key `publishers`. */
export const publishersKey = () =>
  mapOf(keys({
    type: converted(
      (value) => value === "statsd" || value === "opentsdb" || value === "graphite" ? value : undefined,
      "statsd, opentsdb or graphite",
    ),
    address: converted(readAddress, "an address such as 127.0.0.1:8125 or metrics.example.org:2003"),
    interval: optional(seconds({ min: 1, max: 3_600 }), 10),
    prefix: optional(
      matching(
        /^(?=.{1,100}$)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/,
        "words of letters, digits, _ and -, separated by dots",
      ),
    ),
    tags: optional(mapOf(matching(/^[\w./-]{1,100}$/, "1 to 100 letters, digits and _ . / -"))),
  }));

function readAddress(value: unknown): PublisherKeys["address"] | undefined {
  const address = typeof value === "string" ? parseEndpoint(value) : undefined;
  const isKnown = address !== undefined && (isHostName(address.host) || isIpv4(address.host) || isIpv6(address.host));
  return isKnown ? address : undefined;
}

/** What of a publisher's keys does not go together. */
export function publisherFaults(publishers: Readonly<Record<string, PublisherKeys>> = {}): readonly Issue[] {
  return Object.entries(publishers).flatMap(([name, { type, tags = {} }]) => {
    const path = ["publishers", name];
    const names = Object.keys(tags);
    const faults = names.filter((tag) => !TAG_NAME.test(tag)).map((tag) =>
      unwanted(
        [...path, "tags"],
        "a map whose keys consist of letters, digits and _ . / -, starting with a letter",
        tag,
      )
    );
    if (!NAME.test(name)) {
      faults.push(unwanted(["publishers"], "a map whose keys are 1 to 64 letters, digits and _ . -", name));
    }
    if (type === "graphite" && names.length > 0) {
      faults.push({
        path: [...path, "tags"],
        message: "Cannot use tags with the graphite type: Graphite paths have no tags; use prefix",
      });
    }
    if (type === "opentsdb" && names.length > OPENTSDB_TAGS_MAX) {
      faults.push(
        unwanted([...path, "tags"], `a map of at most ${OPENTSDB_TAGS_MAX} tags with the opentsdb type`, names.length),
      );
    }
    return faults;
  });
}

/** Makes publishers of validated keys, by name. */
export function publishersOf(read: Readonly<Record<string, PublisherKeys>> = {}): ReadonlyMap<string, PublisherTarget> {
  return new Map(
    Object.entries(read).map(([name, { type, address, interval, prefix, tags = {} }]) =>
      [name, { type, ...address, intervalMs: interval * 1_000, prefix, tags }] as const
    ),
  );
}
