/** The bytes of a connection, plain or secured. */
export interface ByteStream {
  /** Reads some bytes into the buffer; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes; answers how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Closes both directions. */
  close(): void;
}
