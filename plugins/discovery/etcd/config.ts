import * as v from "valibot";
import type { Endpoint } from "../../../mod.ts";
import {
  flag,
  houseSchema,
  keys,
  list,
  mapped,
  optional,
  refined,
  seconds,
  unwanted,
  word,
} from "../../../src/kernel/schema.ts";
import { sectionSchemas } from "../formats/section.ts";
import { serverAddress } from "../server_address.ts";
import { missingPartner, tlsFaults, tlsFilesOf, tlsKeys } from "../tls_config.ts";
import type { TlsFiles } from "../tls_files.ts";
import type { Credential } from "./gateway.ts";

/** `discovery/etcd.yaml`, validated. */
export interface EtcdConfig {
  /** The members of one cluster, without duplicates. */
  readonly endpoints: readonly Endpoint[];
  /** The prefix of the clusters: it starts with a slash, and does not end with one. */
  readonly prefix: string;
  readonly credential?: Credential | undefined;
  /** Without it, connections use no TLS. */
  readonly tls?: TlsFiles | undefined;
  /** How long etcd keeps the nodes of a silent session. */
  readonly sessionTimeoutMs: number;
  readonly api: "v3" | "v2";
  /** Whether host names in entries are resolved. */
  readonly resolveNames?: boolean | undefined;
}

/** etcd's own port for clients. */
const DEFAULT_PORT = 2379;
const ENDPOINTS_WANTED = "a list of host:port, http://host:port or https://host:port, all with TLS or all without";
const PREFIX_WANTED = "a path below the root, such as /lighthouse/services";
const PATH_WANTED = "an absolute path, such as /proxy/frontend/web";

/** A parsed list of endpoints. */
interface Members {
  readonly endpoints: readonly Endpoint[];
  /** `undefined` if no scheme is given. */
  readonly isSecure: boolean | undefined;
}

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
  tls: optional(tlsKeys()),
  session_timeout: optional(seconds({ min: 2, max: 600 }), 10),
  api: optional(v.picklist(["v3", "v2"], "v3 or v2"), "v3"),
  resolve_names: optional(flag(), false),
}));

/** The validator of `discovery/etcd.yaml`. */
export const schema = mapped(
  refined(
    file,
    ({ endpoints, username, password, tls }) => [
      ...missingPartner({ username, password }),
      ...tlsFaults(tls),
      ...tls === undefined || endpoints.isSecure !== false
        ? []
        : [unwanted(["tls"], "absent when the endpoints use http://", tls)],
    ],
  ),
  (
    { endpoints: { endpoints, isSecure }, prefix, username, password, tls, session_timeout, api, resolve_names },
  ): EtcdConfig => ({
    endpoints,
    prefix: normalisePrefix(prefix) ?? "",
    credential: username === undefined || password === undefined ? undefined : { username, password },
    tls: tls === undefined ? isSecure ? {} : undefined : tlsFilesOf(tls),
    sessionTimeoutMs: Math.round(session_timeout * 1_000),
    api,
    resolveNames: resolve_names,
  }),
);

/** The validators of the section of a cluster, and of a service. */
export const { cluster: clusterSchema, service: serviceSchema } = sectionSchemas({
  wanted: PATH_WANTED,
  normalise: normalisePrefix,
});

/**
 * Parses endpoints as etcd's own tools accept them; `undefined` if one of them is invalid, or some have TLS
 * and some do not.
 */
export function parseEndpoints(texts: readonly string[]): Members | undefined {
  const endpoints = new Set<Endpoint>();
  const schemes = new Set<string>();
  for (const text of texts.flatMap((each) => each.split(","))) {
    const [, scheme = "", rest = ""] = /^(?:(https?):\/\/)?([^/]*)\/?$/.exec(text.trim()) ?? [];
    const endpoint = serverAddress(rest, DEFAULT_PORT);
    if (endpoint === undefined) return undefined;
    endpoints.add(endpoint);
    schemes.add(scheme);
  }
  if (schemes.has("https") && schemes.size > 1) return undefined;
  return { endpoints: [...endpoints], isSecure: schemes.has("https") ? true : schemes.has("http") ? false : undefined };
}

/** Normalizes a prefix to one slash before each name and none at its end; `undefined` for an invalid one. */
export function normalisePrefix(path: string): string | undefined {
  const names = path.split("/").filter((name) => name !== "");
  // deno-lint-ignore no-control-regex -- no terminal should have to show one.
  return /[\u0000-\u001f\u007f]/.test(path) || names.length === 0
    ? undefined
    : names.map((name) => `/${name}`).join("");
}
