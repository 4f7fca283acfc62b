import { compareDiagnostics, type Diagnostic } from "../config/diagnostics.ts";
import { balancersWithSection } from "../config/cluster_schema.ts";
import type { Role } from "../config/load.ts";
import type { Desired } from "../config/desired.ts";
import { takeDirectory } from "../config/pipeline.ts";
import { systemClock } from "../kernel/clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { Describer } from "../supervisor/describer.ts";
import { accept } from "../config/accept.ts";
import type { Accepted } from "../config/accepted.ts";
import type { PlacedFinding } from "../config/place.ts";
import { describeSectionWith, describeWith } from "./describe.ts";
import { tryBalancers, type TryOptions } from "./try_balancers.ts";
import { readNameService } from "./name_service.ts";
import type { BalancerPlugins } from "./balancer_plugins.ts";
import { CATALOG, makeBalancerPlugins, makePluginLoader } from "./plugins.ts";

/** How long the reading of a config directory may take. */
const READ_DEADLINE_MS = 30_000;

/** A config directory as it stands. */
export interface Validated {
  /** What can be used of it; `undefined` if there is no directory to be read. */
  readonly accepted: Accepted | undefined;
  /** All that is wrong with it, sorted by file and place. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads a config directory once, lets each plugin validate its part, and each
 * balancer's program the whole. Where a balancer's plugin does not ship, what
 * was accepted can be used as long as the `balancerPlugins` are there.
 */
export async function validateDirectory(
  dir: string,
  { role, balancerPlugins: given, candidates, findMore, ...severity }: TryOptions & {
    readonly role: Role;
    readonly balancerPlugins?: BalancerPlugins;
    /** Files that are read in the place of those of the directory, by their path in it. */
    readonly candidates?: ReadonlyMap<string, string> | undefined;
    /** Finds what only this host can answer, of what was accepted. */
    readonly findMore?: ((accepted: Accepted) => Promise<readonly PlacedFinding[]>) | undefined;
  },
): Promise<Validated> {
  await using own = makeBalancerPlugins({ log: SILENT });
  const taken = await takeOnce(dir, { role, balancerPlugins: given ?? own, candidates });
  if (!taken.ok) return { accepted: undefined, diagnostics: taken.diagnostics };
  const { accepted, sources, diagnostics } = taken;
  const found = [...await tryBalancers(accepted, severity), ...await findMore?.(accepted) ?? []];
  const judged = found.flatMap(({ key, finding }) => sources.get(key)?.diagnose(finding) ?? []);
  return { accepted, diagnostics: [...diagnostics, ...judged].toSorted(compareDiagnostics) };
}

/**
 * Reads a config directory once and lets each plugin validate its part, for a command that speaks to registries alone.
 * What `edit` makes of it is validated in its place.
 */
export async function readDirectory(dir: string, edit?: (desired: Desired) => Desired): Promise<Validated> {
  await using balancerPlugins = makeBalancerPlugins({ log: SILENT });
  const taken = await takeOnce(dir, { role: "run", balancerPlugins, edit });
  return { accepted: taken.ok ? taken.accepted : undefined, diagnostics: taken.diagnostics };
}

async function takeOnce(
  dir: string,
  { role, balancerPlugins, candidates, edit = (desired) => desired }: {
    readonly role: Role;
    readonly balancerPlugins: BalancerPlugins;
    readonly candidates?: ReadonlyMap<string, string> | undefined;
    readonly edit?: ((desired: Desired) => Desired) | undefined;
  },
): ReturnType<typeof takeDirectory> {
  await using plugins = makePluginLoader({ log: SILENT });
  await using describer = new Describer({ clock: systemClock });
  return await takeDirectory(dir, {
    role,
    signal: AbortSignal.timeout(READ_DEADLINE_MS),
    checks: CATALOG.names("check"),
    balancers: balancersWithSection(CATALOG.names("balancer")),
    candidates,
    loadPlugins: (desired) => plugins.load(desired, { dir, waitMs: Infinity }),
    readNameService,
    judge: (desired, given) =>
      accept(edit(desired), {
        ...given,
        openBalancer: (use) => balancerPlugins.open(use),
        describe: describeWith(describer),
        describeSection: describeSectionWith(describer),
      }),
  });
}
