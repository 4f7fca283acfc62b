import type { Collector } from "./meter.ts";

/** What is known of this process. */
export interface ProcessFacts {
  readonly version: string;
  readonly role: string;
  /** When it started, in milliseconds since 1970. */
  readonly startedMs: number;
  readonly usage: ProcessUsage;
  /** Its file descriptors, if they were counted. */
  readonly files?: { readonly open: number; readonly limit: number } | undefined;
}

/** What this process uses. */
export interface ProcessUsage {
  readonly residentBytes: number;
  /** All threads, user and system. */
  readonly cpuSeconds: number;
}

/** Exposes what is known of this process. Pure. */
export function projectProcess(to: Collector, { version, role, startedMs, usage, files }: ProcessFacts): void {
  to.add("lighthouse_build_info", { version, role }, 1);
  to.add("process_start_time_seconds", {}, startedMs / 1_000);
  to.add("process_cpu_seconds_total", {}, usage.cpuSeconds);
  to.add("process_resident_memory_bytes", {}, usage.residentBytes);
  if (files === undefined) return;
  to.add("process_open_fds", {}, files.open);
  to.add("process_max_fds", {}, files.limit);
}
