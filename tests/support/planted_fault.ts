/**
 * Runs in a daemon of a test, before it: SIGUSR2 is a fault that nobody
 * catches, as one of the daemon's own would be.
 *
 * @module
 */
Deno.addSignalListener("SIGUSR2", () => void Promise.reject(new Error("a planted fault")));
