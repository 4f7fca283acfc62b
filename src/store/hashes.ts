import { createHash } from "node:crypto";
import type { Hash, Hashes } from "./snapshot.ts";

function hashOf(algorithm: "md5" | "sha256"): Hash {
  return (...parts) => {
    const hash = createHash(algorithm);
    for (const part of parts) hash.update(part);
    return hash.digest("hex");
  };
}

/** The hashes of the platform. */
export const HASHES: Hashes = { md5: hashOf("md5"), sha256: hashOf("sha256") };
