/**
 * Sources as aurproxy's clients write and read them, as additions to a cluster.
 * Pure.
 *
 * @module
 */
import type { Addition } from "../model/addition.ts";
import { isIpv4, isIpv6, isPort } from "../model/endpoint.ts";
import { isRecord } from "../model/node.ts";

/** An addition that ends sooner is rejected, as its client has hardly time to renew it. */
const AHEAD_MIN_MS = 60_000;

const PATH = /^\/api\/source\/([A-Za-z0-9_.:-]{1,255})\/(?:sources\/?|source\/([A-Za-z0-9_.:-]{1,255})\/?)$/;

/** Reads `/api/source/CLUSTER/sources` and `/api/source/CLUSTER/source/NAME/`; `undefined` if it is neither. */
export function aurproxyPath(
  path: string,
): { readonly cluster: string; readonly name?: string | undefined } | undefined {
  const [, cluster, name] = PATH.exec(path) ?? [];
  return cluster === undefined ? undefined : { cluster, name };
}

/** Reads the body of a PUT: `{"source": {"source_class": …}, "expiration": "2026-01-01T00:00:00Z"}`; a string says what is wrong. */
export function readAurproxySource(
  { cluster, name }: { readonly cluster: string; readonly name: string },
  body: unknown,
  nowMs: number,
): Addition | string {
  if (!isRecord(body) || !isRecord(body.source)) {
    return "Cannot read the request body: must be a map with a source key";
  }
  const { source, expiration } = body;
  const untilMs = expiration === undefined ? undefined : Date.parse(String(expiration));
  if (untilMs !== undefined && !(untilMs >= nowMs + AHEAD_MIN_MS)) {
    return `Cannot use expiration: must be a timestamp at least 1m in the future; received ${
      JSON.stringify(expiration)
    }`;
  }
  const read = readSource(source);
  if (typeof read === "string") return read;
  return { cluster, name, ...read, ...untilMs !== undefined && { untilMs } };
}

function readSource(source: Readonly<Record<string, unknown>>): Pick<Addition, "kind" | "value"> | string {
  const type = String(source.source_class ?? "").split(".").at(-1) ?? "";
  const text = (key: string) => typeof source[key] === "string" ? source[key] : undefined;
  if (/^Static(?:Proxy)?Source$/.test(type)) {
    const host = text("host") === "localhost" ? "127.0.0.1" : text("host") ?? "";
    const port = Number(source.port);
    if (!(isIpv4(host) || isIpv6(host)) || !isPort(port)) {
      return "Cannot use the source: must have the keys host (an IP address) and port";
    }
    return { kind: "nodes", value: { address: host, port } };
  }
  const endpoint = text("endpoint");
  const prefix = text("zk_member_prefix");
  const options = {
    format: "serverset",
    ...endpoint !== undefined && { endpoint },
    ...prefix !== undefined && { member_prefix: prefix },
  };
  const path = type === "ServerSetSource"
    ? text("path")
    : /^Aurora(?:Proxy)?Source$/.test(type)
    ? [text("announcer_serverset_path") ?? "/aurora", ...["role", "environment", "job"].map((key) => text(key) ?? "")]
      .join("/")
    : undefined;
  if (path === undefined) {
    return `Cannot use source_class: must be the class of a static, Aurora or serverset source; received ${
      JSON.stringify(type)
    }`;
  }
  const normal = `/${path.split("/").filter((part) => part !== "").join("/")}`;
  return { kind: "sources", value: { zookeeper: { path: normal, ...options } } };
}

/** Writes an addition as aurproxy does. */
export function asAurproxySource({ name, kind, value, untilMs }: Addition): unknown {
  const options: Readonly<Record<string, unknown>> = Object.values(value).find((each) => isRecord(each)) ?? {};
  const source = kind === "nodes"
    ? { source_class: "tellapart.aurproxy.source.StaticProxySource", name, host: value.address, port: value.port }
    : { source_class: "tellapart.aurproxy.source.ServerSetSource", path: options.path, endpoint: options.endpoint };
  return { source, ...untilMs !== undefined && { expiration: new Date(untilMs).toISOString() } };
}
