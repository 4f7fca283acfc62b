/** Codes, or prefixes of codes, of `node:tls` for an untrusted certificate. */
const CERTIFICATE_CODE = /^(?:CERT_|CRL_|DEPTH_ZERO_|ERR_TLS_CERT_|HOSTNAME_|INVALID_|SELF_SIGNED_|UNABLE_TO_)/;

/** Whether an error code of `node:tls` means an untrusted certificate. */
export function isCertificateCode(code: unknown): boolean {
  return typeof code === "string" && CERTIFICATE_CODE.test(code);
}
