import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { constant, option } from "@optique/core/primitives";
import { integer, string, type ValueParser } from "@optique/core/valueparser";
import { type BindAddress, formatBindAddress } from "../model/bind_address.ts";
import { parseStoreAddress } from "../store/store_address.ts";
import { parseTimeLimit } from "../store/time_limit.ts";
import { converted, file } from "./value_parsers.ts";

/** Where a store listens unless told otherwise. */
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

/** A limit is kept as it was written until it is used: `-7 days`. */
const time = converted((text) => parseTimeLimit(text) === undefined ? undefined : text, {
  metavar: "TIME",
  wanted: "a time such as -7d, +2m, 500ms or 2026-01-31T12:00:00",
  placeholder: "",
  format: (text) => text,
});

/** What `lighthouse store` is told, but for logging. */
export const storeArguments = object("The store", {
  command: constant("store" as const),
  dataDir: option("--data.d", string({ metavar: "DIR" }), { description: message`The directory of the snapshots.` }),
  bind: withDefault(
    option("--bind", address, {
      description: message`Where to listen. Beyond this machine it takes --tokens or --tls-client-ca, or --insecure.`,
    }),
    LOCAL,
  ),
  advertise: optional(
    option("--advertise", address, {
      description: message`How other instances reach this one, if not by where it listens.`,
    }),
  ),
  seeds: withDefault(
    option("--seeds", addresses, { description: message`Other instances to begin with, separated by commas.` }),
    [],
  ),
  loadLimit: withDefault(
    option("--load-limit", time, {
      description: message`A snapshot that is older is served only once other instances had time to give a newer one.`,
    }),
    "-7 days",
  ),
  removeLimit: withDefault(
    option("--rm-limit", time, { description: message`Snapshots that are older are removed, but for the newest.` }),
    "-7 days",
  ),
  bootstrap: withDefault(
    option("--bootstrap", {
      description: message`Serve at once, whatever is there: for the first start of the first.`,
    }),
    false,
  ),
  bootstrapLimit: withDefault(
    option("--bootstrap-limit", time, { description: message`How long other instances have time.` }),
    "+2 minutes",
  ),
  tokens: optional(option("--tokens", file, { description: message`The bearer tokens (YAML), and what each may do.` })),
  peerToken: optional(
    option("--peer-token", file, { description: message`The token to show to other instances, alone in a file.` }),
  ),
  peerCa: optional(
    option("--peer-ca", file, { description: message`The authority of other instances' certificates (PEM).` }),
  ),
  tlsCert: optional(option("--tls-cert", file, { description: message`The certificate to listen with (PEM).` })),
  tlsKey: optional(option("--tls-key", file, { description: message`Its key (PEM).` })),
  tlsClientCa: optional(
    option("--tls-client-ca", file, { description: message`Clients need a certificate of this authority (PEM).` }),
  ),
  maxConnections: optional(
    option("--max-connections", integer({ metavar: "NUMBER", min: 8, max: 1_000_000 }), {
      description: message`Connections at the same time; three quarters of the open files unless given.`,
    }),
  ),
  insecure: withDefault(
    option("--insecure", { description: message`Whoever can reach it may change everything.` }),
    false,
  ),
});
