import { LOCAL_NAME_SERVICE, type NameService, parseResolvConf, RESOLV_CONF_BYTES_MAX } from "../dns/resolv_conf.ts";

/** Where the system says which name servers it asks. */
export const RESOLV_CONF = "/etc/resolv.conf";

/** Reads how this host resolves names; what the C library does without a file if there is no usable one. Never throws. */
export async function readNameService(file = RESOLV_CONF): Promise<NameService> {
  try {
    const { isFile, size } = await Deno.stat(file);
    // Opening a pipe would wait until somebody writes to it.
    if (!isFile || size > RESOLV_CONF_BYTES_MAX) return LOCAL_NAME_SERVICE;
    return parseResolvConf(await Deno.readTextFile(file));
  } catch {
    return LOCAL_NAME_SERVICE;
  }
}
