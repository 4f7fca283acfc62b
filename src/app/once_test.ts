import assert from "node:assert/strict";
import type { Step } from "../plugin/contract.ts";
import { onceProgress, withoutPrograms } from "./once.ts";

const APPLIED = { inForce: true, turnedMs: 20, lastError: undefined };
const HEARD = { unheard: [], heardMs: 10, errors: [], configured: ["app"] };

Deno.test.each(
  [
    { what: "applied", given: { ...HEARD, balancers: new Map([["app", APPLIED]]) }, is: { state: "applied" } },
    {
      what: "waiting for registries",
      given: { ...HEARD, unheard: ["cluster web"], heardMs: undefined, balancers: new Map([["app", APPLIED]]) },
      is: { state: "waiting", reason: "no registry has reported cluster web" },
    },
    {
      what: "waiting for a writer",
      given: { ...HEARD, balancers: new Map() },
      is: { state: "waiting", reason: "not applied: app" },
    },
    {
      what: "waiting for a turn with all answers",
      given: { ...HEARD, balancers: new Map([["app", { ...APPLIED, turnedMs: 5 }]]) },
      is: { state: "waiting", reason: "not applied: app" },
    },
    {
      what: "waiting after an error from before all answers",
      given: {
        ...HEARD,
        balancers: new Map([["app", { ...APPLIED, inForce: false, lastError: { text: "x", atMs: 5 } }]]),
      },
      is: { state: "waiting", reason: "not applied: app" },
    },
    {
      what: "failed by an error",
      given: {
        ...HEARD,
        balancers: new Map([["app", { ...APPLIED, inForce: false, lastError: { text: "x", atMs: 15 } }]]),
      },
      is: { state: "failed", reason: "app: x" },
    },
    {
      what: "failed by the config",
      given: { ...HEARD, errors: ["web.yaml:1:1: error"], balancers: new Map([["app", APPLIED]]) },
      is: { state: "failed", reason: "web.yaml:1:1: error" },
    },
    {
      what: "failed without a balancer",
      given: { ...HEARD, configured: [], balancers: new Map() },
      is: { state: "failed", reason: "no balancer is configured" },
    },
  ] as const,
)("a single run is $what", ({ given, is }) => assert.deepEqual(onceProgress(given), is));

Deno.test("withoutPrograms() leaves only files, and no record of a reload that did not happen", () => {
  const install = (path: string, output?: string): Step => ({
    do: "install",
    path,
    contents: "",
    mode: 0o644,
    check: [],
    when: "now",
    ...output !== undefined && { output },
  });
  const steps: readonly Step[] = [
    install("/a", "a"),
    { do: "notify", reason: "x", run: ["/bin/true"], output: "a" },
    install("/.a", "a"),
    install("/b", "b"),
    { do: "start", reason: "x", run: ["/bin/true"] },
    { do: "command", command: "x", expect: [] },
  ];
  assert.deepEqual(withoutPrograms(steps), [steps[0], steps[3]]);
});
