import type { TempDir } from "./temp_dir.ts";

/** The files (PEM) of certificates made for a test; each certificate is for `localhost` and 127.0.0.1. */
export interface Certificates {
  /** The authority of all except `selfSigned`. */
  readonly ca: string;
  /** Valid. */
  readonly good: string;
  /** Expired yesterday. */
  readonly expired: string;
  /** For another name. */
  readonly misnamed: string;
  /** Its own authority, as `openssl req -x509` makes it. */
  readonly selfSigned: string;
  /** The one key that all of them share. */
  readonly key: string;
}

/** Makes an authority and certificates in the directory with openssl. */
export async function makeCertificates(dir: TempDir): Promise<Certificates> {
  const file = (name: string) => dir.file(`${name}.pem`);
  const key = file("key");
  const local = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  await openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", key);
  const selfSign = (name: string, ...more: readonly string[]) =>
    openssl("req", "-x509", "-key", key, "-subj", `/CN=${name}`, "-days", "2", "-out", file(name), ...more);
  await selfSign("ca");
  await selfSign("self_signed", "-addext", local);
  const sign = async (name: string, days: string, altNames: string) => {
    const request = dir.file(`${name}.csr`);
    await openssl("req", "-new", "-key", key, "-subj", `/CN=${name}`, "-addext", altNames, "-out", request);
    const issued = ["-days", days, "-copy_extensions", "copy", "-out", file(name)];
    await openssl("x509", "-req", "-in", request, "-CA", file("ca"), "-CAkey", key, ...issued);
  };
  await sign("good", "2", local);
  await sign("expired", "-1", local);
  await sign("misnamed", "2", "subjectAltName=DNS:elsewhere.example");
  return {
    ca: file("ca"),
    good: file("good"),
    expired: file("expired"),
    misnamed: file("misnamed"),
    selfSigned: file("self_signed"),
    key,
  };
}

async function openssl(...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args: [...args], stdin: "null" }).output();
  if (!success) throw new Error(`openssl ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
}
