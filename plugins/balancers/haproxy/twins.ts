/** The suffix of the backend that has all servers of a cluster, whatever their checks report. */
export const PANIC_SUFFIX = ":panic";

/** The suffix of the backend that serves while none of the preferred servers of a cluster is up. */
export const FALLBACK_SUFFIX = ":fallback";

/** The cluster that a backend is a twin of; `undefined` if it is none. */
export function twinOf(backend: string): string | undefined {
  const suffix = [PANIC_SUFFIX, FALLBACK_SUFFIX].find((each) => backend.endsWith(each));
  return suffix === undefined ? undefined : backend.slice(0, -suffix.length);
}
