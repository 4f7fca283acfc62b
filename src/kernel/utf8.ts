const encoder = new TextEncoder();

/** Encodes a string. Its bytes are never shared, which the types of older Denos do not say. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}
