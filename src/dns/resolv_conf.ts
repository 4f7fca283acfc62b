/**
 * Parses `/etc/resolv.conf` as described in resolv.conf(5). Pure.
 *
 * @module
 */
import { formatEndpoint, isHostName, isIpv4, isIpv6 } from "../model/endpoint.ts";

/** The resolver settings of this host. */
export interface NameService {
  /** The name servers, as `address:port`, in the order in which they are queried. */
  readonly nameServers: readonly string[];
  /** The search domains for short names. */
  readonly searchDomains: readonly string[];
  /** A name with at least this many dots is tried unchanged first. */
  readonly ndots: number;
}

/** Maximum size of the file. */
export const RESOLV_CONF_BYTES_MAX = 65_536;

/** Maximum number of name servers, as in the C library. */
const NAME_SERVERS_MAX = 3;
const SEARCH_DOMAINS_MAX = 32;
const NDOTS_MAX = 15;

/** Default of the C library without a file. */
export const LOCAL_NAME_SERVICE: NameService = Object.freeze({
  nameServers: Object.freeze(["127.0.0.1:53"]),
  searchDomains: Object.freeze([]),
  ndots: 1,
});

/** Parses the file; invalid lines are ignored, as in the C library. */
export function parseResolvConf(text: string): NameService {
  const nameServers = new Set<string>();
  let searchDomains: readonly string[] = [];
  let ndots = LOCAL_NAME_SERVICE.ndots;
  for (const line of text.slice(0, RESOLV_CONF_BYTES_MAX).split("\n")) {
    const [keyword, ...words] = line.replace(/[#;].*$/, "").trim().split(/\s+/);
    switch (keyword) {
      case "nameserver": {
        // A permission cannot name a link-local address (fe80::1%eth0).
        const [address = ""] = words;
        if (isIpv4(address) || isIpv6(address)) nameServers.add(formatEndpoint({ host: address, port: 53 }));
        break;
      }
      case "domain":
      case "search":
        // The last such line counts.
        searchDomains = words.map((word) => word.replace(/\.$/, "")).filter(isHostName).slice(0, SEARCH_DOMAINS_MAX);
        break;
      case "options":
        for (const word of words) {
          const dots = /^ndots:([0-9]{1,3})$/.exec(word)?.[1];
          if (dots !== undefined) ndots = Math.min(NDOTS_MAX, Number(dots));
        }
    }
  }
  return {
    nameServers: nameServers.size === 0 ? LOCAL_NAME_SERVICE.nameServers : [...nameServers].slice(0, NAME_SERVERS_MAX),
    searchDomains,
    ndots,
  };
}

/** The most characters of a domain name (RFC 1035). */
const NAME_LENGTH_MAX = 253;

/** The names to query, in order: a name with a trailing dot is absolute. */
export function namesToTry(
  name: string,
  { searchDomains, ndots }: Omit<NameService, "nameServers">,
): readonly string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  // As the C library does: an overlong name is not queried, so no name server can fail to answer it.
  const behind = searchDomains.map((domain) => `${name}.${domain}`).filter(({ length }) => length <= NAME_LENGTH_MAX);
  return [...name].filter((char) => char === ".").length >= ndots ? [name, ...behind] : [...behind, name];
}
