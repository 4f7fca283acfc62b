import { converted, type Issue, keys, matching, optional } from "../../src/kernel/schema.ts";
import { isHostName } from "../../src/model/endpoint.ts";
import type { TlsFiles } from "./tls_files.ts";

const pemFile = () => optional(matching(/^\/[^\0]+$/, "the absolute path of a PEM file"));

/** The key `tls` of a registry's file. */
export const tlsKeys = () =>
  keys({
    ca: pemFile(),
    cert: pemFile(),
    key: pemFile(),
    server_name: optional(
      converted((value) => typeof value === "string" && isHostName(value) ? value : undefined, "a host name"),
    ),
  });

/** The result of {@linkcode tlsKeys}. */
interface TlsKeys {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly server_name?: string | undefined;
}

/** The faults of the keys together: a certificate and its key need each other. */
export function tlsFaults(tls: TlsKeys | undefined): readonly Issue[] {
  return missingPartner({ cert: tls?.cert, key: tls?.key }, ["tls"]);
}

/** The files and the name in the keys. */
export function tlsFilesOf({ ca, cert, key, server_name }: TlsKeys): TlsFiles {
  return { ca, cert, key, serverName: server_name };
}

/** Names the missing one of two keys that need each other. */
export function missingPartner(
  pair: Readonly<Record<string, unknown>>,
  path: readonly string[] = [],
): readonly Issue[] {
  const there = Object.keys(pair).find((key) => pair[key] !== undefined);
  const missing = Object.keys(pair).find((key) => pair[key] === undefined);
  if (there === undefined || missing === undefined) return [];
  return [{ message: `Missing key ${[...path, missing].join(".")}: required by ${[...path, there].join(".")}`, path }];
}
