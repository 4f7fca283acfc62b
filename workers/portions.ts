import type { ClusterFacts, ClusterName } from "../src/model/topology.ts";
import { nodeName, parseNode } from "../src/model/node.ts";
import type { KeysFacts } from "../src/plugin/contract.ts";
import { InvalidMessage, keysOf, NODES_MAX, TEXT_LENGTH_MAX } from "../src/protocol/values.ts";
import { MESSAGE_LENGTH_MAX, PORTION_LENGTH, SNAPSHOT_LENGTH_MAX } from "../src/protocol/wire.ts";
import { errorText } from "../src/protocol/wire_error.ts";

const { stringify } = JSON;
/** Captured before the plugin's first line: unsorted nodes would make the host sort them. */
const sort = Function.prototype.call.bind(Array.prototype.sort) as <T>(
  list: T[],
  compare: (a: T, b: T) => number,
) => T[];

/** Each snapshot of a worker has a number, so that a change can name its base. */
let lastNumber = 0;

/**
 * Makes messages of the answers of a watch of one cluster: the whole at first, then the changes. Each
 * message is a portion that takes the host a few milliseconds.
 */
export class Portions {
  readonly #cluster: ClusterName;
  /** What the host has: each node as JSON, by name. */
  #sent: ReadonlyMap<string, string> | undefined;
  #refused: ReadonlySet<string> = new Set();
  #number = 0;
  /** Total length of the messages since the last whole snapshot, including it: the host keeps no more either. */
  #length = 0;

  constructor(cluster: ClusterName) {
    this.#cluster = cluster;
  }

  /** The next answer as messages. Throws an `InvalidMessage` if it is invalid, or exceeds the limits of a snapshot. */
  next({ nodes, exists, epoch, leaseMs }: ClusterFacts): string[] {
    if (typeof exists !== "boolean") {
      throw new InvalidMessage("A snapshot must have exists, true or false");
    }
    if (typeof epoch !== "string") throw new InvalidMessage("A snapshot must have an epoch, a string");
    const { texts, refused, length } = read(nodes);
    const cluster = stringify(this.#cluster);
    const facts = stringify({ exists, epoch: epoch.slice(0, TEXT_LENGTH_MAX), leaseMs }).slice(1, -1);
    const number = ++lastNumber;
    const isSameRefused = refused.size === this.#refused.size && [...refused].every((each) => this.#refused.has(each));
    const change = this.#sent && changeOf(this.#sent, texts);
    const base = this.#number;
    [this.#sent, this.#refused, this.#number] = [texts, refused, number];
    if (change === undefined || this.#length + change.length > SNAPSHOT_LENGTH_MAX) {
      const { portions, last } = cut(cluster, refused, [...texts.values()]);
      this.#length = length;
      return [
        ...portions,
        `{"type":"snapshot","number":${number},"snapshot":{"cluster":${cluster},"nodes":[${last}],${facts}}}`,
      ];
    }
    const { portions, last } = cut(cluster, isSameRefused ? [] : refused, change.added);
    const messages = [
      ...portions,
      `{"type":"change","cluster":${cluster},"number":${number},"base":${base},"added":[${last}],` +
      `"removed":${stringify(change.removed)},"isSameRefused":${isSameRefused},${facts}}`,
    ];
    this.#length = messages.reduce((sum, message) => sum + message.length, this.#length);
    return messages;
  }
}

/** All keys of a stream as one message. Throws an `InvalidMessage` if the answer is invalid or too large. */
export function keysPortion(stream: number, { entries, exists, epoch }: KeysFacts): string {
  if (typeof exists !== "boolean") {
    throw new InvalidMessage("An answer must have exists, true or false");
  }
  if (typeof epoch !== "string") throw new InvalidMessage("An answer must have an epoch, a string");
  const facts = { entries: keysOf(entries), exists, epoch: epoch.slice(0, TEXT_LENGTH_MAX) };
  const text = stringify({ type: "keys", stream, ...facts });
  if (text.length <= MESSAGE_LENGTH_MAX) return text;
  throw new InvalidMessage(`The keys below a prefix must have at most ${MESSAGE_LENGTH_MAX} characters of JSON`);
}

/** What the host lacks, sorted by name, and what it has to remove; `undefined` if the whole is as short. */
function changeOf(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): { readonly added: readonly string[]; readonly removed: readonly string[]; readonly length: number } | undefined {
  const added = [...now].filter(([name, text]) => before.get(name) !== text).map(([, text]) => text);
  const removed = [...before.keys()].filter((name) => !now.has(name));
  const removedLength = removed.reduce((sum, name) => sum + name.length + 3, 0);
  if (added.length + removed.length > now.size / 2 + 1 || removedLength > PORTION_LENGTH) return undefined;
  return { added, removed, length: added.reduce((sum, text) => sum + text.length + 1, removedLength) };
}

/** Splits nodes into portions, with the rest for the last message; rejected nodes come first. */
function cut(
  cluster: string,
  refused: Iterable<string>,
  texts: readonly string[],
): { readonly portions: readonly string[]; readonly last: string } {
  const portions: string[][] = [];
  let length = Infinity;
  for (const text of [...[...refused].map((reason) => stringify({ refused: reason })), ...texts]) {
    if (length + text.length > PORTION_LENGTH) {
      portions.push([]);
      length = 0;
    }
    portions.at(-1)?.push(text);
    length += text.length + 1;
  }
  const last = portions.pop() ?? [];
  return {
    portions: portions.map((each) => `{"type":"nodes","cluster":${cluster},"nodes":[${each.join()}]}`),
    last: last.join(),
  };
}

/** Encodes nodes, sorted by name, with the reasons why others are invalid or duplicates. */
function read(nodes: unknown): {
  readonly texts: ReadonlyMap<string, string>;
  readonly refused: ReadonlySet<string>;
  readonly length: number;
} {
  if (!Array.isArray(nodes)) throw new InvalidMessage("A snapshot must have a list of nodes");
  if (nodes.length > NODES_MAX) {
    throw new InvalidMessage(`A snapshot must have at most ${NODES_MAX} nodes: it has ${nodes.length}`);
  }
  const refused = new Set<string>();
  const named: [name: string, text: string][] = [];
  let length = 0;
  const charge = (text: string) => {
    length += text.length + 1;
    if (length > SNAPSHOT_LENGTH_MAX) {
      throw new InvalidMessage(`A snapshot must have at most ${SNAPSHOT_LENGTH_MAX} characters of JSON`);
    }
  };
  for (let i = 0; i < nodes.length; i++) {
    const node = nodeText(nodes[i]);
    charge("refused" in node ? node.refused : node.text);
    if ("refused" in node) refused.add(node.refused);
    else named.push([node.name, node.text]);
  }
  sort(named, ([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  const texts = new Map<string, string>();
  for (const [name, text] of named) {
    if (texts.has(name)) refused.add(`Two nodes have the name ${name}`);
    else texts.set(name, text);
  }
  return { texts, refused, length };
}

/** A node as JSON, and its name; for an invalid one the reason. */
function nodeText(value: unknown): { readonly name: string; readonly text: string } | { readonly refused: string } {
  try {
    const parsed = parseNode(value);
    return parsed.ok ? { name: nodeName(parsed.node), text: stringify(parsed.node) } : { refused: parsed.reason };
  } catch (error) {
    return { refused: errorText(error) };
  }
}
