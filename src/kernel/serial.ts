/** Runs jobs one after the other, in the order given. A job that fails does not stop the next. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `job` once all earlier ones have ended; answers what it answers. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(job, job);
    this.#tail = turn.catch(() => {});
    return turn;
  }

  /** Resolves when all jobs given so far have ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}
