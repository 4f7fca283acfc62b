import type { RegistrySource } from "../model/registry_source.ts";
import type { Desired, PluginFile } from "./desired.ts";
import { type FileText, type FileTexts, secretFilesIn, type SecretTexts } from "./secret_keys.ts";
import { templateFilesOf } from "./template_keys.ts";

/** A secret is not longer than this, and a template not longer than that. */
const SECRET_BYTES_MAX = 64 * 1024, TEMPLATE_BYTES_MAX = 1024 * 1024;

/** Reads all files with secrets that a config names, each time again; a relative path is seen from the config directory. */
export async function readSecrets(desired: Desired, dir: string): Promise<SecretTexts> {
  const files = new Set(configsOf(desired).flatMap(secretFilesIn));
  const readSecret = async (path: string): Promise<FileText> => {
    const read = await readText(path, SECRET_BYTES_MAX);
    return "text" in read ? { text: read.text.replace(/\r?\n$/, "") } : read;
  };
  return new Map(
    await Promise.all([...files].map(async (file) => {
      const said = await readSecret(secretPath(file, dir));
      return [file, "text" in said && said.text === "" ? { reason: "the file is empty" } : said] as const;
    })),
  );
}

/** Reads all templates that a config names, each time again; a relative path is seen from the config directory. */
export async function readTemplates(desired: Desired, dir: string): Promise<FileTexts> {
  const files = new Set([...desired.balancers.values()].flatMap(templateFilesOf));
  return new Map(
    await Promise.all(
      [...files].map(async (file) => [file, await readText(secretPath(file, dir), TEMPLATE_BYTES_MAX)] as const),
    ),
  );
}

/** Where a file with a secret is, and with it all links on the way, to be watched. */
export function secretPath(file: string, dir: string): string {
  return file.startsWith("/") ? file : `${dir.replace(/(?<=.)\/+$/, "")}/${file}`;
}

/** Whether two readings say the same. */
export function sameSecrets(a: FileTexts, b: FileTexts): boolean {
  return a.size === b.size && [...a].every(([file, said]) => JSON.stringify(said) === JSON.stringify(b.get(file)));
}

/** The parts of a config that plugins judge. */
function configsOf({ discovery, balancers, notifiers, clusters, services, drafts }: Desired): readonly unknown[] {
  const own = (files: ReadonlyMap<string, PluginFile>) => [...files.values()].map(({ config }) => config);
  const all = <T>(good: ReadonlyMap<string, T>, spoilt: ReadonlyMap<string, { readonly value: T }>) => [
    ...good.values(),
    ...[...spoilt.values()].map(({ value }) => value),
  ];
  return [
    ...own(discovery),
    ...own(balancers),
    ...own(notifiers),
    ...all(clusters, drafts.clusters).flatMap(({ balancers, sources, traffic }) => [
      ...balancers.values(),
      ...optionsOf(sources),
      ...(traffic?.health?.checks ?? []).map(({ config }) => config),
    ]),
    ...all(services, drafts.services).flatMap(({ checks, sources }) => [
      ...checks.map(({ config }) => config),
      ...optionsOf(sources),
    ]),
  ];
}

function optionsOf(sources: readonly RegistrySource[]): readonly unknown[] {
  return sources.map(({ options }) => options);
}

async function readText(path: string, bytesMax: number): Promise<FileText> {
  try {
    const { isFile, size } = await Deno.stat(path);
    // Opening a pipe would wait until somebody writes to it.
    if (!isFile) return { reason: "must be the path to a regular file" };
    if (size > bytesMax) return { reason: `the file must be at most ${bytesMax} bytes; current size is ${size}` };
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(await Deno.readFile(path)) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { reason: "no such file" };
    if (error instanceof Deno.errors.PermissionDenied) return { reason: "permission denied" };
    if (error instanceof TypeError) return { reason: "the file must be UTF-8" };
    const code = error instanceof Error && "code" in error ? ` (${error.code})` : "";
    return { reason: `cannot read the file${code}` };
  }
}
