/** The two messages of `grpc.health.v1.Health/Check`, as gRPC frames them. Pure. @module */

/** The names of the statuses, by number. */
const SERVING_STATUSES: readonly string[] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** A frame's head: whether the message is compressed, and its length in four bytes. */
const HEAD_BYTES = 5;
/** Field 1 with a length, and field 1 with a varint. */
const [SERVICE_TAG, STATUS_TAG] = [0x0a, 0x08];

/** Encodes the request: a HealthCheckRequest with the service's name, in a frame. */
export function formatRequest(service: string): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(service);
  const message = name.length === 0 ? [] : [SERVICE_TAG, ...formatVarint(name.length), ...name];
  const framed = new Uint8Array(HEAD_BYTES + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, HEAD_BYTES);
  return framed;
}

/** Decodes the frame of a HealthCheckResponse: the name of the status, or `undefined` if it is invalid. */
export function parseResponse(framed: Uint8Array): string | undefined {
  if (framed.length < HEAD_BYTES || framed[0] !== 0) return undefined;
  const length = new DataView(framed.buffer, framed.byteOffset).getUint32(1);
  if (framed.length !== HEAD_BYTES + length) return undefined;
  const reader = new FieldReader(framed.subarray(HEAD_BYTES));
  // An omitted field has its first value; of a repeated one the last counts.
  let status = 0;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === undefined) return undefined;
    if (tag === STATUS_TAG) {
      const value = reader.varint();
      if (value === undefined) return undefined;
      status = value;
    } else if (!reader.skip(tag & 7)) return undefined;
  }
  return SERVING_STATUSES[status] ?? `status ${status}`;
}

function formatVarint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...formatVarint(value >>> 7)];
}

/** Reads the fields of a message in turn; a truncated message has none of the fields. */
class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether all is read. */
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Reads a varint of up to 32 bits; a larger one becomes a value that is no status or tag. */
  varint(): number | undefined {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  }

  /** Skips the value of an unknown field; returns whether it was complete. */
  skip(wireType: number): boolean {
    switch (wireType) {
      case 0:
        return this.varint() !== undefined;
      case 1:
        return this.#advance(8);
      case 2: {
        const length = this.varint();
        return length !== undefined && this.#advance(length);
      }
      case 5:
        return this.#advance(4);
      default:
        return false;
    }
  }

  #advance(count: number): boolean {
    this.#at += count;
    return this.#at <= this.#bytes.length;
  }
}
