/**
 * Questions that the parts of the writer ask of a balancer's sources. Pure.
 *
 * @module
 */
import type { BalancerSources, ProcessSources } from "../plugin/contract.ts";

/** All config files, the one that a program is started from first. */
export function filesOf({ file, moreFiles = [] }: BalancerSources): readonly string[] {
  return [...new Set([file, ...moreFiles])];
}

/** The socket at which the balancer is queried, if there is one. */
export function socketOf(sources: BalancerSources): string | undefined {
  return sources.kind === "process" && sources.contact.by !== "pid" ? sources.contact.socket : undefined;
}

/** Where a process shows that it runs, for messages. */
export function whereabouts({ contact }: ProcessSources): string {
  return contact.by === "pid" ? contact.pidFile : contact.socket;
}

/** The program, if there is a process. */
export function programOf(sources: BalancerSources): string | undefined {
  return sources.kind === "process" ? sources.program : undefined;
}

/** The file name of a program, by which its processes are recognized. */
export function programName({ program }: Pick<ProcessSources, "program">): string {
  return program.slice(program.lastIndexOf("/") + 1);
}

/** Whether two sources are of one place: there it is the same balancer. */
export function isSamePlace(one: BalancerSources, other: BalancerSources): boolean {
  return placeOf(one) === placeOf(other);
}

function placeOf(sources: BalancerSources): string {
  return JSON.stringify([sources.file, sources.kind === "process" ? whereabouts(sources) : null]);
}
