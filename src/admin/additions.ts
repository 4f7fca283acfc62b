/**
 * What others may add to clusters over the admin interface: the paths, and the
 * bodies that are read there.
 *
 * @module
 */
import { converted, houseSchema, keys, optional, seconds } from "../kernel/schema.ts";
import { isIpv4, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import type { Addition } from "../model/addition.ts";
import { isRecord, type Json } from "../model/node.ts";

/** What is asked of additions: one by its name, or all of a kind. */
export interface AdditionsPath {
  readonly cluster: string;
  readonly kind: Addition["kind"];
  readonly name?: string | undefined;
}

/** A result with the status of HTTP that says it. */
export interface AdditionsResult {
  readonly status: 200 | 201 | 204 | 400 | 403 | 404 | 409 | 501 | 503;
  readonly said?: unknown;
}

/** Adds to clusters, and removes. */
export interface Additions {
  get(path: AdditionsPath): AdditionsResult;
  put(addition: Addition): Promise<AdditionsResult>;
  remove(path: AdditionsPath & { readonly name: string }): Promise<AdditionsResult>;
}

/** An addition ends after this time at the latest: ten years. */
const TTL_MAX_S = 3_650 * 86_400;

const PATH = /^\/v1\/clusters\/([A-Za-z0-9_.:-]{1,255})\/(nodes|sources)(?:\/([A-Za-z0-9_.:[\]-]{1,255}))?$/;

/** Reads a path; `undefined` if it is none of these. */
export function additionsPath(path: string): AdditionsPath | undefined {
  const [, cluster, kind, name] = PATH.exec(path) ?? [];
  return cluster === undefined ? undefined : { cluster, kind: kind === "nodes" ? "nodes" : "sources", name };
}

const json = (wanted: string) =>
  converted((value) => isRecord(value) ? value as { [key: string]: Json } : undefined, wanted);
const address = () =>
  converted((value) => {
    const endpoint = typeof value === "string" ? parseEndpoint(value) : undefined;
    return endpoint !== undefined && (isIpv4(endpoint.host) || isIpv6(endpoint.host)) ? endpoint : undefined;
  }, "an IP address and a port, such as 10.0.0.5:8080 or [fd00::5]:8080");

const TTL = { ttl: optional(seconds({ min: 1, max: TTL_MAX_S })) } as const;
const NODE = houseSchema(keys({ ...TTL, address: address(), metadata: optional(json("a map")) }));
const SOURCE = houseSchema(keys({ ...TTL, discovery: json("a map of one discovery name to its options") }));

/** Reads the body of a PUT; a string says what is wrong. Pure. */
export function readAddition(
  { cluster, kind, name }: AdditionsPath & { readonly name: string },
  body: unknown,
  nowMs: number,
): Addition | string {
  const result = (kind === "nodes" ? NODE : SOURCE)["~standard"].validate(body);
  if ("issues" in result) return result.issues.map(({ message }) => message.replace("the file", "the body")).join("; ");
  const { ttl, discovery, address, metadata } = result.value as {
    readonly ttl?: number;
    readonly discovery?: Addition["value"];
    readonly address?: { readonly host: string; readonly port: number };
    readonly metadata?: { readonly [key: string]: Json };
  };
  const node = address && { address: address.host, port: address.port, ...metadata !== undefined && { metadata } };
  return {
    cluster,
    kind,
    name,
    value: discovery ?? node ?? {},
    ...ttl !== undefined && { untilMs: nowMs + Math.round(ttl * 1_000) },
  };
}
