/**
 * What is rendered for nginx: a case is a file in `nginx/`, with YAML that says
 * why it is there and what is wanted, a line `----`, what nginx itself rejects of
 * it and the notices, a line `----`, and the config file without the rejected
 * lines, which nginx accepts. `UPDATE_GOLDEN=1` writes what is expected again.
 *
 * @module
 */
import assert from "node:assert/strict";
import nginx from "../../plugins/balancers/nginx/mod.ts";
import { render } from "../../plugins/balancers/nginx/render.ts";
import { Executor } from "../../src/balance/executor.ts";
import { tryOut } from "../../src/balance/try_out.ts";
import type { Origin, WantedNode } from "../../src/plugin/contract.ts";
import { caseNames, compareCase, readCase, readNode } from "../support/balancer_case.ts";
import { nginxWanted } from "../support/nginx.ts";
import { setUp } from "../setup.ts";
import { TempDir } from "../support/temp_dir.ts";

const CASES = new URL("./nginx/", import.meta.url);

/** Where things are. nginx binds the socket while it checks. */
const PLACES = {
  config_file: "/etc/nginx/lighthouse.conf",
  pid_file: "/tmp/lighthouse-golden-nginx.pid",
  status_socket: "/tmp/lighthouse-golden-nginx.sock",
};

interface NginxCase {
  /** Why the case is there. */
  readonly why: string;
  /** `balancers/nginx.yaml`, without its places. */
  readonly balancer?: Record<string, unknown>;
  readonly clusters?: readonly {
    readonly name: string;
    readonly nginx?: Record<string, unknown>;
    /** `host:port ip`, or with what each is to get. */
    readonly nodes?: readonly (string | Partial<WantedNode> & { readonly at: string })[];
  }[];
}

Deno.test("the golden configs of nginx are at least as many as promised", () => {
  assert.ok(caseNames(CASES).length >= 6, `${caseNames(CASES).length}`);
});

for (const name of caseNames(CASES)) {
  Deno.test(`render() for nginx of ${name.replace(".txt", "").replaceAll("-", " ")} is as in the golden file, and nginx accepts it`, async () => {
    await setUp(["nginx_stream"]);
    const path = new URL(name, CASES);
    const golden = await readCase<NginxCase>(path);
    const { balancer = {}, clusters = [] } = golden.given;
    const asked = nginxWanted({ ...PLACES, ...balancer }, Object.fromEntries(clusters.map((cluster) => [cluster.name, {
      section: cluster.nginx ?? {},
      nodes: (cluster.nodes ?? []).map((node): WantedNode =>
        typeof node === "string"
          ? { node: readNode(node), state: "ready", pool: "primary" }
          : { node: readNode(node.at), state: node.state ?? "ready", pool: node.pool ?? "primary", ...withoutPlace(node) }
      ),
    }])));
    await using dir = new TempDir();
    const { target, refusals, isAsked } = await tryOut(asked, {
      balancer: nginx,
      effects: new Executor(),
      candidate: dir.file("candidate"),
      signal: AbortSignal.timeout(60_000),
    });
    assert(isAsked);
    const { text, notices } = render(target);
    const at = (origin: Origin | undefined) => origin === undefined ? "" : ` [${place(origin)}]`;
    const shown = [
      ...refusals.flatMap(({ faults }) => faults.map(({ message, origin }) => `rejected: ${message}${at(origin)}\n`)),
      ...notices.map(({ text, origin }) => `${text}${at(origin)}\n`),
    ];
    await compareCase(path, golden, `${shown.join("")}----\n${text}`);
  });
}

function withoutPlace({ at: _, ...rest }: Partial<WantedNode> & { readonly at: string }): Partial<WantedNode> {
  return rest;
}

function place({ cluster, path }: Origin): string {
  return [...cluster === undefined ? [] : [`cluster ${cluster}`], path.join(".")].join(" ");
}
