/** Returns a number with its noun: `1 node`, `2 nodes`, `0 nodes`. For nouns with a regular plural. */
export function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
