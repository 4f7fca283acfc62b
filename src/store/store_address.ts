import { type BindAddress, parseBindAddress } from "../model/bind_address.ts";

/** The default port of a store. */
const DEFAULT_PORT = 8001;

/** Parses the address of a store: `localhost`, `10.0.0.1:8001`, `[::1]:8001`; `undefined` if invalid. */
export function parseStoreAddress(text: string): BindAddress | undefined {
  return parseBindAddress(text, { defaultPort: DEFAULT_PORT });
}
