import { flag, houseSchema, keys, optional, text } from "../../../src/kernel/schema.ts";
import { TLS_KEYS } from "../tls_keys.ts";

/** The section `grpc:` of a service file, validated. */
export interface GrpcConfig {
  /** The queried service; empty for the server as a whole. */
  readonly service: string;
  /** Whether to use TLS. */
  readonly tls: boolean;
  /** Whether the certificate must be valid. */
  readonly verify: boolean;
  /** The CA file, instead of the known authorities. */
  readonly ca?: string | undefined;
  /** The name in SNI, in the certificate and in `:authority`, if not the target's. */
  readonly server_name?: string | undefined;
}

/** Validates `grpc:` of a service file. */
export const schema = houseSchema(keys({
  service: optional(text(), ""),
  tls: optional(flag(), false),
  ...TLS_KEYS,
}));
