const encoder = new TextEncoder();

/** Encodes a text. Its bytes are never shared, which older Denos do not say in the type. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}
