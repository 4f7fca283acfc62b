/** The bytes of one connection, plain or secured; a `Deno.Conn` is one. */
export interface ByteStream {
  /** Reads some bytes into the buffer; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes; answers how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Says that nothing more is written. */
  closeWrite(): Promise<void>;
  /** Closes both directions. */
  close(): void;
}

/** Closes a stream that may be closed already. */
export function closeQuietly(stream: { close(): void }): void {
  try {
    stream.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** So much is read at a time unless told otherwise: thousands of connections are quiet at the same time. */
const CHUNK_BYTES = 2_048;
const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** What came of a stream and is not used up yet. One read is under way at most, whoever waits for it. */
export class ByteSource {
  readonly #stream: Pick<ByteStream, "read">;
  #bytes = NOTHING;
  #reading: Promise<boolean> | undefined;

  constructor(stream: Pick<ByteStream, "read">) {
    this.#stream = stream;
  }

  /** What came and is not used up. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** Uses up so many bytes, and answers them. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = count === this.#bytes.length ? NOTHING : this.#bytes.subarray(count);
    return taken;
  }

  /** Reads more behind what is there; `false` at the end. */
  fill(chunkBytes = CHUNK_BYTES): Promise<boolean> {
    return this.#reading ??= this.#read(chunkBytes).finally(() => this.#reading = undefined);
  }

  async #read(chunkBytes: number): Promise<boolean> {
    const chunk = new Uint8Array(chunkBytes);
    const count = await this.#stream.read(chunk);
    if (count === null || count === 0) return false;
    const more = chunk.subarray(0, count);
    if (this.#bytes.length === 0) this.#bytes = more;
    else {
      const joined = new Uint8Array(this.#bytes.length + count);
      joined.set(this.#bytes);
      joined.set(more, this.#bytes.length);
      this.#bytes = joined;
    }
    return true;
  }
}
