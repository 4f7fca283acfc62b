import { isRecord, nodeName } from "../../../src/model/node.ts";
import { childOf } from "../children.ts";
import { type ParsedEntry, parseEntry } from "../entry.ts";
import { readObject } from "../node_json.ts";
import type { Format } from "./format.ts";

/**
 * The masters of a Mesos cluster, of which the leader is read: the one with the lowest number. Nothing is
 * written.
 */
export const mesosMaster: Format = {
  select: (names) => names.filter((name) => /^json\.info_[0-9]{10}$/.test(name)).toSorted().slice(0, 1),
  read: (_name, data, options) => childOf(parse(data), data, options),
  write() {
    throw new TypeError("Cannot register with the mesos-master format: Mesos masters elect their own leader");
  },
  nameOf: nodeName,
  isForeign: true,
};

function parse(data: Uint8Array): ParsedEntry {
  const read = readObject(data);
  if (!read.ok) return read;
  const { address, hostname, port, version } = read.value;
  const { ip, port: own } = isRecord(address) ? address : {};
  return parseEntry({
    ip: ip ?? hostname,
    port: own ?? port,
    metadata: typeof version === "string" ? { version: version.slice(0, 64) } : {},
  });
}
