import type { ClusterFacts, ClusterName } from "../src/model/topology.ts";
import { isRecord, nodeName, parseNode } from "../src/model/node.ts";
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

/** A valid node as the host gets it. */
interface Encoded {
  readonly name: string;
  readonly text: string;
  /**
   * The plugin's value, if it is frozen: whoever freezes a node promises that it stays as it is, so a change of one node
   * of a thousand validates one.
   */
  readonly lasting: unknown;
}

/** Each snapshot of a worker has a number, so that a change can name its base. */
let lastNumber = 0;

/**
 * Makes messages of the answers of a watch of one cluster: the whole at first, then the changes. Each
 * message is a portion that takes the host a few milliseconds.
 */
export class Portions {
  readonly #cluster: ClusterName;
  readonly #withoutMetadata: boolean;
  /** What the host has, sorted by name. */
  #sent: readonly Encoded[] | undefined;
  #refused: ReadonlySet<string> = new Set();
  #number = 0;
  /** Total length of the messages since the last whole snapshot, including it: the host keeps no more either. */
  #length = 0;

  /** `withoutMetadata`: nobody reads the metadata of nodes, so it is neither sent nor looked at. */
  constructor(
    cluster: ClusterName,
    { withoutMetadata = false }: { readonly withoutMetadata?: boolean | undefined } = {},
  ) {
    [this.#cluster, this.#withoutMetadata] = [cluster, withoutMetadata];
  }

  /** The next answer as messages. Throws an `InvalidMessage` if it is invalid, or exceeds the limits of a snapshot. */
  next({ nodes, exists, epoch, leaseMs }: ClusterFacts): string[] {
    if (typeof exists !== "boolean") {
      throw new InvalidMessage('The "exists" key of a snapshot must be true or false');
    }
    if (typeof epoch !== "string") throw new InvalidMessage('The "epoch" key of a snapshot must be a string');
    const { texts, refused, length } = read(nodes, this.#sent ?? [], this.#withoutMetadata);
    const cluster = stringify(this.#cluster);
    const facts = stringify({ exists, epoch: epoch.slice(0, TEXT_LENGTH_MAX), leaseMs }).slice(1, -1);
    const number = ++lastNumber;
    const isSameRefused = refused.size === this.#refused.size && [...refused].every((each) => this.#refused.has(each));
    const change = this.#sent && changeOf(this.#sent, texts);
    const base = this.#number;
    [this.#sent, this.#refused, this.#number] = [texts, refused, number];
    if (change === undefined || this.#length + change.length > SNAPSHOT_LENGTH_MAX) {
      const { portions, last } = cut(cluster, refused, texts.map(({ text }) => text));
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
    throw new InvalidMessage('The "exists" key of a response must be true or false');
  }
  if (typeof epoch !== "string") throw new InvalidMessage('The "epoch" key of a response must be a string');
  const facts = { entries: keysOf(entries), exists, epoch: epoch.slice(0, TEXT_LENGTH_MAX) };
  const text = stringify({ type: "keys", stream, ...facts });
  if (text.length <= MESSAGE_LENGTH_MAX) return text;
  throw new InvalidMessage(`The keys under a prefix must have at most ${MESSAGE_LENGTH_MAX} characters of JSON`);
}

/** What the host lacks, sorted by name, and what it has to remove; `undefined` if the whole is as short. */
function changeOf(
  before: readonly Encoded[],
  now: readonly Encoded[],
): { readonly added: readonly string[]; readonly removed: readonly string[]; readonly length: number } | undefined {
  const [added, removed]: [string[], string[]] = [[], []];
  let length = 0;
  let removedLength = 0;
  for (let [i, j] = [0, 0]; i < before.length || j < now.length;) {
    const [old, next] = [before[i], now[j]];
    if (old === next) {
      i++;
      j++;
    } else if (next === undefined || old !== undefined && old.name < next.name) {
      removed.push((old as Encoded).name);
      removedLength += (old as Encoded).name.length + 3;
      i++;
    } else {
      const isSame = old?.name === next.name;
      if (!isSame || old.text !== next.text) {
        added.push(next.text);
        length += next.text.length + 1;
      }
      if (isSame) i++;
      j++;
    }
  }
  if (added.length + removed.length > now.length / 2 + 1 || removedLength > PORTION_LENGTH) return undefined;
  return { added, removed, length: length + removedLength };
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

/**
 * Encodes nodes, sorted by name, with the reasons why others are invalid or duplicates. What is frozen, and the same
 * value as `before`, is encoded already.
 */
function read(nodes: unknown, before: readonly Encoded[], withoutMetadata: boolean): {
  readonly texts: readonly Encoded[];
  readonly refused: ReadonlySet<string>;
  readonly length: number;
} {
  if (!Array.isArray(nodes)) throw new InvalidMessage('The "nodes" key of a snapshot must be a list');
  if (nodes.length > NODES_MAX) {
    throw new InvalidMessage(`A snapshot must have at most ${NODES_MAX} nodes; received ${nodes.length}`);
  }
  const refused = new Set<string>();
  const named: Encoded[] = [];
  let isSorted = true;
  let length = 0;
  let at = 0;
  for (let i = 0; i < nodes.length; i++) {
    const known = before[at];
    const isSame = known !== undefined && known.lasting !== undefined && known.lasting === nodes[i];
    const node = isSame ? known : encode(nodes[i], withoutMetadata);
    length += ("refused" in node ? node.refused : node.text).length + 1;
    if (length > SNAPSHOT_LENGTH_MAX) {
      throw new InvalidMessage(`A snapshot must have at most ${SNAPSHOT_LENGTH_MAX} characters of JSON`);
    }
    if ("refused" in node) {
      refused.add(node.refused);
      continue;
    }
    if (isSame) at++;
    else while (at < before.length && (before[at] as Encoded).name <= node.name) at++;
    const last = named[named.length - 1];
    if (last !== undefined && last.name >= node.name) isSorted = false;
    named[named.length] = node;
  }
  if (isSorted) return { texts: named, refused, length };
  sort(named, (a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const texts: Encoded[] = [];
  for (let i = 0; i < named.length; i++) {
    const node = named[i] as Encoded;
    if (texts[texts.length - 1]?.name === node.name) refused.add(`Two nodes have the same name, ${node.name}`);
    else texts[texts.length] = node;
  }
  return { texts, refused, length };
}

/** A node as JSON, and its name; for an invalid one the reason. */
function encode(value: unknown, withoutMetadata: boolean): Encoded | { readonly refused: string } {
  try {
    const parsed = parseNode(withoutMetadata && isRecord(value) ? { ...value, metadata: {} } : value);
    if (!parsed.ok) return { refused: parsed.reason };
    const lasting = Object.isFrozen(value) ? value : undefined;
    return { name: nodeName(parsed.node), text: stringify(parsed.node), lasting };
  } catch (error) {
    return { refused: errorText(error) };
  }
}
