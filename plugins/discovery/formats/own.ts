import { nodeName } from "../../../src/model/node.ts";
import { readChild } from "../children.ts";
import { encodeNode } from "../node_json.ts";
import type { Format } from "./format.ts";

/** Lighthouse's own: a node as JSON, under its name, with all keys of a node. */
export const own: Format = {
  read: (_name, data, options) => readChild(data, options),
  write: (node) => ({ name: nodeName(node), data: encodeNode(node) }),
  nameOf: nodeName,
  isForeign: false,
};
