import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { constant, option } from "@optique/core/primitives";
import { integer, string, type ValueParser } from "@optique/core/valueparser";
import { type BindAddress, formatBindAddress } from "../model/bind_address.ts";
import { parseStoreAddress } from "../store/store_address.ts";
import { parseTimeLimit } from "../store/time_limit.ts";
import { converted, file } from "./value_parsers.ts";

/** The default address of a store. */
export const LOCAL: BindAddress = { host: "localhost", port: 8001 };

/** An address of a store. */
export const address: ValueParser<"sync", BindAddress> = converted(parseStoreAddress, {
  metavar: "ADDRESS",
  wanted: "an address such as 10.0.0.1:8001",
  placeholder: LOCAL,
  format: formatBindAddress,
});

const addresses = converted<readonly string[]>(
  (text) => {
    const list = text.split(",").map((each) => each.trim()).filter((each) => each !== "");
    return list.every((each) => parseStoreAddress(each) !== undefined) ? list : undefined;
  },
  {
    metavar: "ADDRESSES",
    wanted: "addresses such as 10.0.0.1:8001,10.0.0.2:8001",
    placeholder: [],
    format: (list) => list.join(","),
  },
);

/** A time limit as written, such as `-7 days`; parsed when used. */
const time = converted((text) => parseTimeLimit(text) === undefined ? undefined : text, {
  metavar: "TIME",
  wanted: "a time such as -7d, +2m, 500ms or 2026-01-31T12:00:00",
  placeholder: "",
  format: (text) => text,
});

/** The arguments of `lighthouse store`, without logging. */
export const storeArguments = object("Store", {
  command: constant("store" as const),
  dataDir: option("--data.d", string({ metavar: "DIR" }), { description: message`Snapshot directory.` }),
  bind: withDefault(
    option("--bind", address, {
      description: message`Listen address. A non-loopback address requires --tokens, --tls-client-ca or --insecure.`,
    }),
    LOCAL,
  ),
  advertise: optional(
    option("--advertise", address, {
      description: message`Address to which other instances connect. Default: the --bind address.`,
    }),
  ),
  seeds: withDefault(
    option("--seeds", addresses, { description: message`Initial peers, separated by commas.` }),
    [],
  ),
  loadLimit: withDefault(
    option("--load-limit", time, {
      description: message`Maximum age of a snapshot that is served without waiting for a newer one from peers.`,
    }),
    "-7 days",
  ),
  removeLimit: withDefault(
    option("--rm-limit", time, {
      description: message`Remove snapshots older than this; the newest snapshot is always kept.`,
    }),
    "-7 days",
  ),
  bootstrap: withDefault(
    option("--bootstrap", {
      description: message`Serve immediately with the data on disk, if any; for the first start of the first instance.`,
    }),
    false,
  ),
  bootstrapLimit: withDefault(
    option("--bootstrap-limit", time, { description: message`Maximum time to wait for peers.` }),
    "+2 minutes",
  ),
  tokens: optional(option("--tokens", file, { description: message`Bearer tokens and their permissions (YAML).` })),
  peerToken: optional(
    option("--peer-token", file, { description: message`File that contains the bearer token for peers.` }),
  ),
  peerCa: optional(
    option("--peer-ca", file, { description: message`CA of the peers' certificates (PEM).` }),
  ),
  tlsCert: optional(option("--tls-cert", file, { description: message`Server certificate (PEM).` })),
  tlsKey: optional(option("--tls-key", file, { description: message`Private key of the certificate (PEM).` })),
  tlsClientCa: optional(
    option("--tls-client-ca", file, { description: message`Require client certificates signed by this CA (PEM).` }),
  ),
  maxConnections: optional(
    option("--max-connections", integer({ metavar: "NUMBER", min: 8, max: 1_000_000 }), {
      description: message`Maximum concurrent connections. Default: three quarters of the open file limit.`,
    }),
  ),
  insecure: withDefault(
    option("--insecure", { description: message`Allow anyone who can connect to change everything.` }),
    false,
  ),
});
