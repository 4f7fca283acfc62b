import type { LabelsOf, MetricName } from "./table.ts";

/** Where a part counts what it does: passed beside the logger, and never throws. */
export interface Meter {
  /** Adds to a counter: 1 by default; 0 has it exposed before anything happens. */
  count<Name extends MetricName<"counter">>(name: Name, labels: LabelsOf<Name>, by?: number): void;
  /** Records a value in a histogram, in its base unit. */
  observe<Name extends MetricName<"histogram">>(name: Name, labels: LabelsOf<Name>, value: number): void;
}

/** A meter that drops everything. */
export const UNMETERED: Meter = { count() {}, observe() {} };

/** Takes values that are known elsewhere, when metrics are collected. */
export interface Collector {
  /** Adds a series with its value. */
  add<Name extends MetricName<"gauge" | "counter">>(name: Name, labels: LabelsOf<Name>, value: number): void;
}
