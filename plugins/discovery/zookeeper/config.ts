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
import { tlsFaults, tlsFilesOf, tlsKeys } from "../tls_config.ts";
import type { TlsFiles } from "../tls_files.ts";
import type { Credential } from "./client.ts";
import type { AclChoice } from "./session.ts";

/** `discovery/zookeeper.yaml`, validated. */
export interface ZooKeeperConfig {
  /** The servers, without duplicates. */
  readonly hosts: readonly Endpoint[];
  /** The prefix of every path: empty, or a path without a slash at its end. */
  readonly chroot: string;
  /** The znode whose children are the clusters, with the chroot of `hosts` in front. */
  readonly path: string;
  /** How long the ensemble keeps the registrations of an unreachable client. */
  readonly sessionTimeoutMs: number;
  /** The credential. */
  readonly auth?: Credential | undefined;
  /** Without it, connections use no TLS. */
  readonly tls?: TlsFiles | undefined;
  /** Whether host names in entries are resolved, by the name servers of this host. */
  readonly resolveNames: boolean;
  /** The permissions of the znodes made here. */
  readonly acl: AclChoice;
}

/** ZooKeeper's own port. */
const DEFAULT_PORT = 2181;
const HOSTS_WANTED = "a list of host:port, with an optional /chroot after the last entry";
const PATH_WANTED = "a znode path, such as /lighthouse/services";
const AUTH_WANTED = `a map with username and password, or "digest:username:password"`;

/** A parsed connection string. */
interface Ensemble {
  readonly hosts: readonly Endpoint[];
  readonly chroot: string;
}

const digest = v.pipe(
  keys({
    scheme: optional(v.picklist(["digest"], "digest"), "digest"),
    username: optional(v.pipe(word(), v.excludes(":", "a name without a colon"))),
    user: optional(v.pipe(word(), v.excludes(":", "a name without a colon"))),
    password: word(),
  }),
  v.check(({ username, user }) => (username ?? user) !== undefined, AUTH_WANTED),
  v.transform(({ scheme, username, user, password }): Credential => ({
    scheme,
    secret: `${username ?? user}:${password}`,
  })),
);

const line = v.pipe(
  v.string(AUTH_WANTED),
  v.regex(/^[a-z]+:[^:]+:.+$/s, AUTH_WANTED),
  v.transform((text): Credential => {
    const colon = text.indexOf(":");
    return { scheme: text.slice(0, colon), secret: text.slice(colon + 1) };
  }),
);

const file = houseSchema(
  keys({
    hosts: v.pipe(
      v.union(
        [word(HOSTS_WANTED), v.pipe(list(word(HOSTS_WANTED), HOSTS_WANTED), v.minLength(1, HOSTS_WANTED))],
        HOSTS_WANTED,
      ),
      v.rawTransform(({ dataset, addIssue, NEVER }): Ensemble => {
        const ensemble = parseEnsemble([dataset.value].flat().join(","));
        if (ensemble !== undefined) return ensemble;
        addIssue({ message: HOSTS_WANTED });
        return NEVER;
      }),
    ),
    path: v.pipe(word(PATH_WANTED), v.check((path) => normalisePath(path) !== undefined, PATH_WANTED)),
    session_timeout: optional(seconds({ min: 1, max: 600 }), 10),
    auth: optional(v.lazy((input) => typeof input === "object" && input !== null ? digest : line)),
    tls: optional(tlsKeys()),
    resolve_names: optional(flag(), false),
    acl: optional(v.picklist(["open", "creator", "readable"], "open, creator or readable"), "open"),
  }),
);

/** The validator of `discovery/zookeeper.yaml`. */
export const schema = mapped(
  refined(
    refined(
      file,
      ({ auth, acl }) =>
        acl === "open" || auth !== undefined ? [] : [unwanted(["acl"], "open, because auth is not set", acl)],
      ["auth", "acl"],
    ),
    ({ tls }) => tlsFaults(tls),
    ["tls"],
  ),
  ({ hosts: { hosts, chroot }, path, session_timeout, auth, tls, resolve_names, acl }): ZooKeeperConfig => ({
    hosts,
    chroot: chroot === "/" ? "" : chroot,
    path: normalisePath(`${chroot}/${path}`) ?? "/",
    sessionTimeoutMs: Math.round(session_timeout * 1_000),
    auth,
    tls: tls && tlsFilesOf(tls),
    resolveNames: resolve_names,
    acl,
  }),
);

/** The validators of the section of a cluster, and of a service. */
export const { cluster: clusterSchema, service: serviceSchema } = sectionSchemas({
  wanted: "an absolute path, such as /aurora/www/prod/hello",
  normalise: (path) => {
    const normal = normalisePath(path);
    return normal === "/" ? undefined : normal;
  },
});

/** Parses `a:2181,b,[::1]:2181/chroot`, as ZooKeeper's own clients do; `undefined` if it is invalid. */
export function parseEnsemble(text: string): Ensemble | undefined {
  const slash = text.indexOf("/");
  const chroot = slash === -1 ? "" : normalisePath(text.slice(slash));
  if (chroot === undefined) return undefined;
  const hosts = new Set<Endpoint>();
  for (const part of (slash === -1 ? text : text.slice(0, slash)).split(",")) {
    const trimmed = part.trim();
    if (trimmed === "") continue;
    const endpoint = serverAddress(trimmed, DEFAULT_PORT);
    if (endpoint === undefined) return undefined;
    hosts.add(endpoint);
  }
  return hosts.size === 0 ? undefined : { hosts: [...hosts], chroot };
}

/**
 * Normalizes a path to one slash before each name and none at its end, as 1.0's client reads it; `undefined`
 * for an invalid path.
 */
export function normalisePath(path: string): string | undefined {
  const names = path.split("/").filter((name) => name !== "");
  // deno-lint-ignore no-control-regex -- ZooKeeper rejects them.
  const isPath = names.every((name) => name !== "." && name !== ".." && !/[\u0000-\u001f\u007f-\u009f]/.test(name));
  return isPath ? `/${names.join("/")}` : undefined;
}
