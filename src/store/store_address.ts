import { type BindAddress, parseBindAddress } from "../model/bind_address.ts";

/** The port of a store unless told otherwise. */
const DEFAULT_PORT = 8001;

/** Reads the address of a store: `localhost`, `10.0.0.1:8001`, `[::1]:8001`; `undefined` if it is none. */
export function parseStoreAddress(text: string): BindAddress | undefined {
  return parseBindAddress(text, { defaultPort: DEFAULT_PORT });
}
