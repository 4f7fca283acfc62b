import assert from "node:assert/strict";
import type { Addition } from "../model/addition.ts";
import { withAdditions } from "./additions.ts";

const node: Addition = { cluster: "web", kind: "nodes", name: "a", value: { address: "10.0.0.1", port: 80 } };
const source: Addition = { cluster: "web", kind: "sources", name: "b", value: { etcd: { path: "/x" } } };
const raw = { discovery: "static", static: { nodes: [] }, api: { nodes: true, sources: ["etcd"] } };
const join = (file: unknown, additions: readonly Addition[]) => withAdditions(file, { fileName: "web", additions });

Deno.test("withAdditions() adds sources and one source of nodes after those of the file", () => {
  const { discovery } = join(raw, [node, source]) as { discovery: unknown };
  assert.deepEqual(discovery, ["static", { etcd: { path: "/x" } }, { static: { nodes: [node.value] } }]);
});

Deno.test.each([
  { file: raw, additions: [] },
  { file: { ...raw, api: undefined }, additions: [node, source] },
  { file: { ...raw, api: { nodes: false, sources: ["zookeeper"] } }, additions: [node, source] },
  { file: { ...raw, name: "other" }, additions: [node, source] },
  { file: { ...raw, api: "all" }, additions: [node] },
  { file: [], additions: [node] },
])(
  "withAdditions() leaves a file unchanged that does not allow them, or is of another cluster: $file",
  ({ file, additions }) => {
    assert.equal(join(file, additions), file);
  },
);
