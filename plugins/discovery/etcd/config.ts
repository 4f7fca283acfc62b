import * as v from "valibot";
import type { Endpoint } from "../../../mod.ts";
import {
  converted,
  houseSchema,
  integer,
  type Issue,
  keys,
  list,
  mapped,
  matching,
  optional,
  refined,
  seconds,
  unwanted,
  word,
} from "../../../src/kernel/schema.ts";
import { formatEndpoint, isHostName, isIpv6, parseEndpoint } from "../../../src/model/endpoint.ts";
import { FORMAT_NAMES, type FormatName } from "../formats/format.ts";
import type { Credential } from "./gateway.ts";

/** The files and the name that TLS is spoken with. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly serverName?: string | undefined;
}

/** `discovery/etcd.yaml`, validated. */
export interface EtcdConfig {
  /** The members of one cluster, no doubles. */
  readonly endpoints: readonly Endpoint[];
  /** What the clusters are below: it begins with a slash, and ends with none. */
  readonly prefix: string;
  readonly credential?: Credential | undefined;
  /** No TLS is spoken without it. */
  readonly tls?: TlsFiles | undefined;
  /** How long etcd keeps the nodes of a session that it does not hear of. */
  readonly sessionTimeoutMs: number;
  readonly api: "v3" | "v2";
}

/** The section of a cluster or a service, validated. */
export interface EtcdSection {
  /** Where its keys are, if not below `prefix`: it begins with a slash, and ends with none. */
  readonly path?: string | undefined;
  readonly format: FormatName;
  /** The port of addresses that stand alone. */
  readonly port?: number | undefined;
}

/** etcd's own port for clients. */
const DEFAULT_PORT = 2379;
const ENDPOINTS_WANTED = "a list of host:port, http://host:port or https://host:port, all of them with TLS or none";
const PREFIX_WANTED = "a path of names, as in /lighthouse/services";
const FILE_WANTED = "the absolute path of a PEM file";

/** What a list of endpoints says. */
interface Members {
  readonly endpoints: readonly Endpoint[];
  /** `undefined` if no scheme is given. */
  readonly isSecure: boolean | undefined;
}

const pemFile = () => optional(matching(/^\/[^\0]+$/, FILE_WANTED));

const file = houseSchema(keys({
  endpoints: v.pipe(
    v.union(
      [
        word(ENDPOINTS_WANTED),
        v.pipe(list(word(ENDPOINTS_WANTED), ENDPOINTS_WANTED), v.minLength(1, ENDPOINTS_WANTED)),
      ],
      ENDPOINTS_WANTED,
    ),
    v.rawTransform(({ dataset, addIssue, NEVER }): Members => {
      const members = parseEndpoints([dataset.value].flat());
      if (members !== undefined) return members;
      addIssue({ message: ENDPOINTS_WANTED });
      return NEVER;
    }),
  ),
  prefix: optional(
    v.pipe(word(PREFIX_WANTED), v.check((path) => normalisePrefix(path) !== undefined, PREFIX_WANTED)),
    "/lighthouse/services",
  ),
  username: optional(word()),
  password: optional(word()),
  tls: optional(keys({
    ca: pemFile(),
    cert: pemFile(),
    key: pemFile(),
    server_name: optional(
      converted((value) => typeof value === "string" && isHostName(value) ? value : undefined, "a host name"),
    ),
  })),
  session_timeout: optional(seconds({ min: 2, max: 600 }), 10),
  api: optional(v.picklist(["v3", "v2"], "v3 or v2"), "v3"),
}));

/** The validator of `discovery/etcd.yaml`. */
export const schema = mapped(
  refined(
    file,
    ({ endpoints, username, password, tls }) => [
      ...missingPartner({ username, password }, []),
      ...missingPartner({ cert: tls?.cert, key: tls?.key }, ["tls"]),
      ...tls === undefined || endpoints.isSecure !== false
        ? []
        : [unwanted(["tls"], "absent where the endpoints are http://", tls)],
    ],
  ),
  ({ endpoints: { endpoints, isSecure }, prefix, username, password, tls, session_timeout, api }): EtcdConfig => ({
    endpoints,
    prefix: normalisePrefix(prefix) ?? "",
    credential: username === undefined || password === undefined ? undefined : { username, password },
    tls: tls === undefined
      ? isSecure ? {} : undefined
      : { ca: tls.ca, cert: tls.cert, key: tls.key, serverName: tls.server_name },
    sessionTimeoutMs: Math.round(session_timeout * 1_000),
    api,
  }),
);

/** The validator of the section of a cluster, and of a service. */
export const sectionSchema = mapped(
  refined(
    houseSchema(keys({
      path: optional(
        v.pipe(word(PREFIX_WANTED), v.check((path) => normalisePrefix(path) !== undefined, PREFIX_WANTED)),
      ),
      format: optional(v.picklist(FORMAT_NAMES, FORMAT_NAMES.join(" or ")), "lighthouse"),
      port: optional(integer({ min: 1, max: 65_535 })),
    })),
    ({ format, port }) =>
      port !== undefined && format === "lighthouse"
        ? [unwanted(["port"], "absent with the format lighthouse", port)]
        : [],
  ),
  ({ path, format, port }): EtcdSection => ({
    path: path === undefined ? undefined : normalisePrefix(path),
    format,
    port,
  }),
);

/** Says which of two keys is missing, of which neither is of use alone. */
function missingPartner(pair: Readonly<Record<string, unknown>>, path: readonly string[]): readonly Issue[] {
  const there = Object.keys(pair).find((key) => pair[key] !== undefined);
  const missing = Object.keys(pair).find((key) => pair[key] === undefined);
  if (there === undefined || missing === undefined) return [];
  return [{ message: `Missing key ${[...path, missing].join(".")}: ${[...path, there].join(".")} needs it`, path }];
}

/** Reads endpoints as etcd's own tools take them; `undefined` if one of them is none, or some are with TLS and some without. */
export function parseEndpoints(texts: readonly string[]): Members | undefined {
  const endpoints = new Set<Endpoint>();
  const schemes = new Set<string>();
  for (const text of texts.flatMap((each) => each.split(","))) {
    const [, scheme = "", rest = ""] = /^(?:(https?):\/\/)?([^/]*)\/?$/.exec(text.trim()) ?? [];
    const endpoint = parseEndpoint(/^(?:\[[^\]]*\]|[^:]*)$/.test(rest) ? `${rest}:${DEFAULT_PORT}` : rest);
    if (endpoint === undefined || !(isHostName(endpoint.host) || isIpv6(endpoint.host))) return undefined;
    endpoints.add(formatEndpoint(endpoint));
    schemes.add(scheme);
  }
  if (schemes.has("https") && schemes.size > 1) return undefined;
  return { endpoints: [...endpoints], isSecure: schemes.has("https") ? true : schemes.has("http") ? false : undefined };
}

/** Answers a prefix with one slash before each name and none at its end; `undefined` for what can be none. */
export function normalisePrefix(path: string): string | undefined {
  const names = path.split("/").filter((name) => name !== "");
  // deno-lint-ignore no-control-regex -- no terminal should have to show one.
  return /[\u0000-\u001f\u007f]/.test(path) || names.length === 0
    ? undefined
    : names.map((name) => `/${name}`).join("");
}
