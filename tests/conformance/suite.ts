/**
 * Registers a test for each rule of the conformance suite, the rules of
 * `lighthouse plugin test`. Here a busy machine gets more
 * time to stop than an author's.
 *
 * @module
 */
import assert from "node:assert/strict";
import { balancerRules, type BalancerSubject } from "../../src/conformance/balancer_rules.ts";
import { checkRules, type CheckSubject } from "../../src/conformance/check_rules.ts";
import { discoveryRules, type DiscoverySubject } from "../../src/conformance/discovery_rules.ts";
import { notifierRules, type NotifierSubject } from "../../src/conformance/notifier_rules.ts";
import type { Rule } from "../../src/conformance/rule.ts";
import { liveWorkerCount } from "../../src/supervisor/plugin_host.ts";

/** After an abort everything is closed within 200 ms; a busy machine gets more before a test fails. */
const STOP_WITHIN_MS = 5_000;

/** A built-in plugin; a test adds the rest. */
type Shipped<Subject> = Omit<Subject, "source" | "stopWithinMs"> & {
  /** What it is called here, where one plugin is tested in several ways. */
  readonly title?: string;
};

/** Registers the tests of a built-in check. */
export function checkConforms(subject: Shipped<CheckSubject>): void {
  register("check", subject.name, checkRules(shipped("check", subject)));
}

/** Registers the tests of a built-in discovery method. */
export function discoveryConforms(subject: Shipped<DiscoverySubject>): void {
  register("discovery", subject.title ?? subject.name, discoveryRules(shipped("discovery", subject)));
}

/** Registers the tests of one format of a discovery method that ships: the rules that its registry shows. */
export function formatConforms(subject: Shipped<DiscoverySubject> & { readonly title: string }): void {
  const without = discoveryRules(shipped("discovery", { ...subject, registry: undefined }));
  const same = new Set(without.filter(({ skipped }) => skipped === undefined).map(({ title }) => title));
  const own = discoveryRules(shipped("discovery", subject)).filter(({ title }) => !same.has(title));
  register("discovery", subject.title, own);
}

/** Registers the tests of a built-in balancer. */
export function balancerConforms(subject: Shipped<BalancerSubject>): void {
  register("balancer", subject.title ?? subject.name, balancerRules(shipped("balancer", subject)));
}

/** Registers the tests of a built-in notifier. */
export function notifierConforms(subject: Shipped<NotifierSubject>): void {
  register("notifier", subject.name, notifierRules(shipped("notifier", subject)));
}

function shipped<S extends { readonly name: string }>(kind: string, subject: S) {
  const source = { module: `builtin:${kind}/${subject.name}`, origin: "builtin" } as const;
  return { ...subject, source, stopWithinMs: STOP_WITHIN_MS };
}

function register(kind: string, name: string, rules: readonly Rule[]): void {
  Deno.test.afterEach(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));
  for (const { title, skipped, run } of rules) {
    if (skipped === undefined) Deno.test(`${kind}/${name} ${title}`, async () => void await run());
  }
}
