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

/** What {@linkcode tlsKeys} takes. */
interface TlsKeys {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly server_name?: string | undefined;
}

/** What is wrong with the keys together: a certificate and its key are of use only with one another. */
export function tlsFaults(tls: TlsKeys | undefined): readonly Issue[] {
  return missingPartner({ cert: tls?.cert, key: tls?.key }, ["tls"]);
}

/** The files and the name that the keys say. */
export function tlsFilesOf({ ca, cert, key, server_name }: TlsKeys): TlsFiles {
  return { ca, cert, key, serverName: server_name };
}

/** Says which of two keys is missing, of which neither is of use alone. */
export function missingPartner(
  pair: Readonly<Record<string, unknown>>,
  path: readonly string[] = [],
): readonly Issue[] {
  const there = Object.keys(pair).find((key) => pair[key] !== undefined);
  const missing = Object.keys(pair).find((key) => pair[key] === undefined);
  if (there === undefined || missing === undefined) return [];
  return [{ message: `Missing key ${[...path, missing].join(".")}: ${[...path, there].join(".")} needs it`, path }];
}
