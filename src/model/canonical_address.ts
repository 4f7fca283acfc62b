/** One text for each address, so that HAProxy's spelling and a registry's compare. */
export function canonicalAddress(address: string): string {
  if (!address.includes(":")) return address;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hex = (high: string | undefined, low: string | undefined) => (Number(high) * 256 + Number(low)).toString(16);
  const plain = dotted === null ? address : `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}`;
  const [head = "", tail] = plain.split("::");
  const groups = (half: string) => half === "" ? [] : half.split(":");
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array<string>(zeros).fill("0"), ...after].map((group) => parseInt(group, 16).toString(16)).join(
    ":",
  );
}

/** One text for each address; IPv4 that is mapped into IPv6 is IPv4. */
export function plainAddress(address: string): string {
  const canonical = canonicalAddress(address);
  const [, high, low] = /^0:0:0:0:0:ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical) ?? [];
  if (high === undefined || low === undefined) return canonical;
  return [high, low].map((group) => parseInt(group, 16)).flatMap((pair) => [pair >> 8, pair & 255]).join(".");
}

/** Whether an address is the unspecified one, in any spelling: `0.0.0.0`, `::`, `::ffff:0.0.0.0`. */
export function isUnspecified(address: string): boolean {
  return /^(?:0\.0\.0\.0|0(?::0){7})$/.test(plainAddress(address));
}
