/** The first 32 bits of the fractional parts of the square roots of the first eight primes (FIPS 180-4, 5.3.3). */
const INITIAL = [
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
];

/** The round constants: 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
const ROUND = roundConstants();

/**
 * Answers the SHA-256 of a text's UTF-8 bytes as 64 hexadecimal digits. Written
 * out since a pure layer may use neither `crypto`, which answers later, nor a
 * module of the runtime.
 */
export function sha256(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array((Math.floor((bytes.length + 8) / 64) + 1) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 0x2000_0000));
  view.setUint32(padded.length - 4, (bytes.length << 3) >>> 0);
  const state = Int32Array.from(INITIAL);
  const schedule = new Int32Array(64);
  for (let offset = 0; offset < padded.length; offset += 64) mix(state, schedule, view, offset);
  return [...state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

function mix(state: Int32Array, schedule: Int32Array, view: DataView, offset: number): void {
  const at = (index: number) => schedule[index] as number;
  for (let i = 0; i < 16; i++) schedule[i] = view.getInt32(offset + i * 4);
  for (let i = 16; i < 64; i++) {
    const early = at(i - 15), late = at(i - 2);
    const low = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const high = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    schedule[i] = (at(i - 16) + low + at(i - 7) + high) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < 64; i++) {
    const choice = (e & f) ^ (~e & g);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const first = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice + (ROUND[i] as number) + at(i)) | 0;
    const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i] = (state[i] as number) + word;
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

/** Works the constants out exactly, in integers: floor(cbrt(prime) * 2^32) mod 2^32. */
function roundConstants(): Int32Array {
  const constants = new Int32Array(64);
  let found = 0;
  for (let candidate = 2; found < 64; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) prime = false;
    if (prime) constants[found++] = Number(BigInt.asIntN(32, cubeRoot(BigInt(candidate) << 96n)));
  }
  return constants;
}

function cubeRoot(cube: bigint): bigint {
  let low = 0n, high = 1n << 40n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** 3n <= cube) low = middle;
    else high = middle;
  }
  return low;
}
