/**
 * Parses `/etc/hosts`. Pure.
 *
 * @module
 */

/** The addresses of a name, in the order of the file. */
export function addressesOf(name: string, hosts: string): readonly string[] {
  const plain = (each: string) => each.toLowerCase().replace(/\.$/, "");
  return linesOf(hosts).filter(({ names }) => names.some((each) => plain(each) === plain(name)))
    .map(({ address }) => address);
}

/** The names on the first line of the file with an address. */
export function namesOf(address: string, hosts: string): readonly string[] {
  return linesOf(hosts).find((line) => line.address === address)?.names ?? [];
}

function linesOf(hosts: string): readonly { readonly address: string; readonly names: readonly string[] }[] {
  return hosts.split("\n").map((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return { address, names };
  });
}
