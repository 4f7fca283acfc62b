/** Runs a bounded number of jobs at once; the others wait, first come, first served. */
export class Gate {
  #free: number;
  readonly #urgent: (() => void)[] = [];
  readonly #waiting: (() => void)[] = [];

  /** `atOnceMax`: how many jobs may run together; at least 1. */
  constructor(atOnceMax: number) {
    if (!(atOnceMax >= 1)) {
      throw new RangeError(`Cannot create a gate: atOnceMax must be >= 1; current value is ${atOnceMax}`);
    }
    this.#free = atOnceMax;
  }

  /** Runs `job` when a place is free; what is urgent waits for nothing that is not. */
  async run<T>(job: () => Promise<T>, { isUrgent = false }: { readonly isUrgent?: boolean } = {}): Promise<T> {
    const waiting = isUrgent ? this.#urgent : this.#waiting;
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await job();
    } finally {
      const next = this.#urgent.shift() ?? this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
