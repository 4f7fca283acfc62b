import type { LabelsOf, MetricName } from "./table.ts";

/** Where a part counts what it does: passed beside the logger, and never throws. */
export interface Meter {
  /** Adds to a counter: 1 by default; 0 has it exposed before anything happens. */
  count<Name extends MetricName<"counter">>(name: Name, labels: LabelsOf<Name>, by?: number): void;
  /** Records a value in a histogram, in its base unit; `details` are for who records each one by itself. */
  observe<Name extends MetricName<"histogram">>(
    name: Name,
    labels: LabelsOf<Name>,
    value: number,
    details?: Readonly<Record<string, string>>,
  ): void;
}

/** Passes what is counted on to those who read it: nobody at first. */
export class Meters implements Meter {
  #to: readonly Meter[] = [];

  /** Passes it on to one more from now on; to none twice. */
  add(meter: Meter): void {
    if (!this.#to.includes(meter)) this.#to = [...this.#to, meter];
  }

  /** See {@linkcode Meter.count}. */
  count<Name extends MetricName<"counter">>(name: Name, labels: LabelsOf<Name>, by?: number): void {
    for (const meter of this.#to) meter.count(name, labels, by);
  }

  /** See {@linkcode Meter.observe}. */
  observe<Name extends MetricName<"histogram">>(
    name: Name,
    labels: LabelsOf<Name>,
    value: number,
    details?: Readonly<Record<string, string>>,
  ): void {
    for (const meter of this.#to) meter.observe(name, labels, value, details);
  }
}

/** A meter that drops everything. */
export const UNMETERED: Meter = { count() {}, observe() {} };

/** Takes values that are known elsewhere, when metrics are collected. */
export interface Collector {
  /** Adds a series with its value. */
  add<Name extends MetricName<"gauge" | "counter">>(name: Name, labels: LabelsOf<Name>, value: number): void;
}
