/** Runs jobs one after the other, in order. A failed job does not stop the next. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `job` after all earlier ones; returns its result. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(job, job);
    this.#tail = turn.catch(() => {});
    return turn;
  }

  /** Resolves when all jobs so far have ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}
