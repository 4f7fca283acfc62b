/** What the codes of `node:tls` for a certificate that is not trusted begin with, or are. */
const CERTIFICATE_CODE = /^(?:CERT_|CRL_|DEPTH_ZERO_|ERR_TLS_CERT_|HOSTNAME_|INVALID_|SELF_SIGNED_|UNABLE_TO_)/;

/** Whether an error code of `node:tls` says that a certificate is not trusted. */
export function isCertificateCode(code: unknown): boolean {
  return typeof code === "string" && CERTIFICATE_CODE.test(code);
}
