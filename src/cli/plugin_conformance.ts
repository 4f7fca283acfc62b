import { fetchPlugin, locate, openPlugin } from "../app/open_plugin.ts";
import { urlFault } from "../config/plugins_schema.ts";
import { openBalancer } from "../conformance/balancer_in_worker.ts";
import { balancerRules } from "../conformance/balancer_rules.ts";
import { checkRules, findTransport } from "../conformance/check_rules.ts";
import { discoveryRules, findCapabilities } from "../conformance/discovery_rules.ts";
import { notifierRules } from "../conformance/notifier_rules.ts";
import { BrokenRule, type Rule } from "../conformance/rule.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";
import { Source } from "../config/source.ts";
import { formatDuration } from "../kernel/duration.ts";
import { escapeUnprintable } from "../kernel/quote.ts";
import { within } from "../kernel/within.ts";
import { PluginFault } from "../plugin/graph.ts";
import { EXIT } from "./exit_codes.ts";
import type { PluginArguments } from "./plugin_arguments.ts";
import type { PluginCommandOptions } from "./plugin_options.ts";

/** How long the fetching of the plugin may take. */
const FETCH_DEADLINE_MS = 60_000;
/** How long one rule may take; each of its parts has a shorter deadline of its own. */
const RULE_DEADLINE_MS = 120_000;

type TestArguments = Extract<PluginArguments, { readonly action: "test" }>;

/** Runs the conformance suite on a plugin and prints a line for each rule; returns the exit code. */
export async function testPlugin(
  given: TestArguments,
  { fromHere, clock, print, complain }: PluginCommandOptions,
): Promise<number> {
  await using stack = new AsyncDisposableStack();
  let rules: readonly Rule[];
  try {
    const { source } = given;
    const isPath = !/^[a-z][a-z0-9+.-]*:/i.test(source);
    const fault = isPath ? undefined : urlFault({ url: source, insecure: false });
    if (fault !== undefined) throw new PluginFault(`Cannot test ${source}: ${fault}`);
    const url = locate(isPath ? fromHere(source) : source, Deno.cwd());
    const signal = AbortSignal.timeout(FETCH_DEADLINE_MS);
    const { module, introduction } = await openPlugin(await fetchPlugin(url, { clock, signal }), {
      clock,
      label: "under-test",
      signal,
    });
    const example = given.example === undefined ? introduction.example : await readExample(fromHere(given.example));
    if (example === undefined) {
      throw new PluginFault("Cannot test the plugin: no example config; set one with --example FILE");
    }
    print(escapeUnprintable(`${introduction.name}: a ${introduction.kind}. ${introduction.summary}`));
    const section = given.cluster === undefined ? {} : await readExample(fromHere(given.cluster));
    rules = await rulesFor(introduction, { module, example, section, given, stack });
  } catch (error) {
    if (!(error instanceof PluginFault)) throw error;
    complain(escapeUnprintable(error.message));
    return EXIT.failed;
  }
  const counts = { ok: 0, failed: 0, skipped: 0 };
  for (const { title, skipped, run } of rules) {
    if (skipped !== undefined) {
      print(`skip  ${title}: ${skipped}`);
      counts.skipped++;
      continue;
    }
    try {
      const late = () => new BrokenRule(`Not finished within ${formatDuration(RULE_DEADLINE_MS)}`);
      const detail = await within(run(), RULE_DEADLINE_MS, { clock, late });
      print(escapeUnprintable(`ok    ${title}${typeof detail === "string" ? `: ${detail}` : ""}`));
      counts.ok++;
    } catch (error) {
      print(escapeUnprintable(`FAIL  ${title}: ${error instanceof Error ? error.message : String(error)}`));
      counts.failed++;
    }
  }
  print(`${counts.ok} ok, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed === 0 ? EXIT.ok : EXIT.failed;
}

async function rulesFor(
  { kind, name }: { readonly kind: string; readonly name: string },
  { module, example, section, given, stack }: {
    readonly module: string;
    readonly example: unknown;
    readonly section: unknown;
    readonly given: TestArguments;
    /** Takes what is to be ended when the rules are through. */
    readonly stack: AsyncDisposableStack;
  },
): Promise<readonly Rule[]> {
  const subject = { name, source: { module, origin: "foreign" } } as const;
  const { target, live } = given;
  switch (kind) {
    case "check": {
      const healthy = target === undefined ? undefined : () => Promise.resolve(isThere({ target }));
      // The rules report a check that does not start; its transport does not matter then.
      const over = await findTransport({ ...subject, config: example }).catch(() => "tcp" as const);
      return withAdvice(checkRules({ ...subject, config: example, healthy, over }), "set one with --target ADDRESS");
    }
    case "discovery": {
      const registry = live ? () => Promise.resolve(isThere({ config: example })) : undefined;
      const tested = { ...subject, example, registry, section: given.cluster && section };
      const capabilities = await findCapabilities(tested);
      const advice = "pass --live if the server of the example config is running";
      return withAdvice(discoveryRules({ ...tested, capabilities }), advice);
    }
    case "notifier":
      return withAdvice(
        notifierRules({ ...subject, example, isLive: live }),
        "pass --live if the server of the example config is running",
      );
    default: {
      const opened = await openBalancer(subject, { example, section });
      if ("functions" in opened) stack.use(opened);
      return withAdvice(balancerRules({ ...subject, ...opened, example }), "set one with --cluster FILE");
    }
  }
}

/** A value with a disposal that does nothing. */
function isThere<T extends object>(what: T): T & AsyncDisposable {
  return { ...what, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Adds to a rule that was skipped for lack of a server how to name one. */
function withAdvice(rules: readonly Rule[], advice: string): readonly Rule[] {
  return rules.map((rule) =>
    rule.skipped?.includes("was given") ? { ...rule, skipped: `${rule.skipped} (${advice})` } : rule
  );
}

async function readExample(path: string): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new PluginFault(`Cannot read the example config ${path}: ${error instanceof Error ? error.message : error}`);
  }
  const { value, problems: [problem] } = new Source(path, bytes);
  if (problem !== undefined) throw new PluginFault(formatDiagnostic(problem));
  return value;
}
