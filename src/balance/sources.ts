/**
 * What the parts of the writer ask a balancer's sources for. Pure.
 *
 * @module
 */
import type { BalancerSources, ProcessSources } from "../plugin/contract.ts";

/** All config files, the one that a program is started from first. */
export function filesOf({ file, moreFiles = [] }: BalancerSources): readonly string[] {
  return [...new Set([file, ...moreFiles])];
}

/** The socket at which the balancer is asked, if it is asked at one. */
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

/** The name of a program's file, by which its processes are told from others. */
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
