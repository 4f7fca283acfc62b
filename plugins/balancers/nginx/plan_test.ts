import assert from "node:assert/strict";
import type { PlanAllowance } from "../../../mod.ts";
import { balancerSchema, clusterSchema } from "./config.ts";
import { plan } from "./plan.ts";
import { render } from "./render.ts";
import { hashIn } from "./status.ts";

function valueOf(schema: { readonly "~standard": { validate(value: unknown): object } }, value: unknown): never {
  const result = schema["~standard"].validate(value);
  return ("value" in result ? result.value : assert.fail()) as never;
}

function wantedOf(ports: readonly number[], listen = 8080) {
  return {
    config: valueOf(balancerSchema, { config_file: "/n.conf", pid_file: "/n.pid", status_socket: "/n.sock" }),
    host: { fqdn: "lb.test", ip: "127.0.0.1" },
    clusters: [{
      name: "web",
      config: valueOf(clusterSchema, { listen }),
      nodes: ports.map((port) => ({
        node: { host: "a.test", ip: "192.0.2.1", port, metadata: {} },
        state: "ready" as const,
        pool: "primary" as const,
      })),
    }],
  };
}

const before = render(wantedOf([1])).text;
const RUNNING = { hash: hashIn(before), masterPid: 7, isContained: false, orphans: [], file: before };

/** The steps in one line each. */
function planned(
  ports: readonly number[],
  observed: object,
  allowed: PlanAllowance = { reload: true },
  listen?: number,
) {
  const wanted = wantedOf(ports, listen);
  return plan(wanted, render(wanted), { ...RUNNING, ...observed }, allowed).map((step) =>
    step.do === "reload"
      ? `reload ${step.cause} ${step.reason} ${JSON.stringify(step.how)} ${step.listens}`
      : step.do === "start"
      ? `start ${step.reason} ${step.relieves} ${step.listens}`
      : step.do
  );
}

const HUP = '{"signal":"SIGHUP","pid":7}';

Deno.test("plan() reloads for each change, only when a reload is allowed, and names the cause", () => {
  assert.deepEqual(planned([1], {}), []);
  assert.deepEqual(planned([2], {}), ["install", `reload members members of web changed ${HUP} `]);
  assert.deepEqual(planned([1], {}, { reload: true }, 8081), [
    "install",
    `reload structure config changed ${HUP} 0.0.0.0:8081`,
  ]);
  assert.deepEqual(planned([2], {}, { reload: false }), []);
  assert.deepEqual(planned([1], {}, { reload: true, because: "it was asked for" }), [
    `reload forced it was asked for ${HUP} `,
  ]);
});

Deno.test("plan() reloads a file that was edited although the served hash is correct", () => {
  assert.deepEqual(planned([1], { file: `${before}# more\n` }), [
    "install",
    `reload structure config file edited ${HUP} `,
  ]);
});

Deno.test("plan() starts an nginx that does not answer, and replaces workers without a master", () => {
  const gone = { hash: undefined, masterPid: undefined };
  assert.deepEqual(planned([1], { ...gone, file: undefined }), ["install", "start not running  0.0.0.0:8080"]);
  assert.deepEqual(planned([1], { ...gone, orphans: [8, 9] }), [
    "start only orphan processes are serving 8,9 0.0.0.0:8080",
  ]);
});

Deno.test("plan() says why an nginx of another PID namespace cannot be reloaded", () => {
  assert.throws(() => planned([2], { isContained: true }), /in different PID namespaces/);
});
