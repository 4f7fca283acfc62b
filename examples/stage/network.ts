/** Whether a text is the first three numbers of addresses of loopback. */
export function isNetwork(text: string): boolean {
  return /^127(?:\.(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])){2}$/.test(text);
}

/** The lowest address of a network that nobody has, from the `first` number on. */
export function addressWithin(
  network: string,
  { taken, first }: { readonly taken: ReadonlySet<string>; readonly first: number },
): string {
  for (let number = first; number < 255; number++) {
    const address = `${network}.${number}`;
    if (!taken.has(address)) return address;
  }
  throw new Error(`Cannot find an address in ${network}.0/24: all are in use`);
}

/** Whether nobody listens there, nor on that port of all addresses. */
export function isFree(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}

/** Whether somebody takes connections there. */
export async function isListening(hostname: string, port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname, port })).close();
    return true;
  } catch {
    return false;
  }
}
