import { AURPROXY_FLAGS, AURPROXY_LISTS, type AurproxyBalancer, type AurproxyInput } from "./aurproxy.ts";
import { readCommandLine } from "./command_line.ts";
import { documentOf, ImportError, readText } from "./read_input.ts";
import { isRecord } from "../model/node.ts";

/** The options whose values are documents. */
const DOCUMENTS = ["config", "mirror_source", "replay_source"] as const;

/** Reads the command line of aurproxy, with the config that it has or names. */
export async function readAurproxy(words: readonly string[], balancer: AurproxyBalancer): Promise<AurproxyInput> {
  const commandLine = readCommandLine(words.slice(firstOf(words)), {
    flags: AURPROXY_FLAGS,
    lists: AURPROXY_LISTS,
    nameOf: (name) => name.replaceAll("-", "_"),
  });
  const options = isRecord(commandLine.value) ? commandLine.value : {};
  const [config, mirror, replay] = await Promise.all(DOCUMENTS.map((name) => readOption(name, options[name])));
  if (config === undefined && mirror === undefined && replay === undefined) {
    throw new ImportError("Cannot import the command line: must contain --config, --mirror_source or --replay_source");
  }
  return { commandLine, config, source: mirror ?? replay, balancer };
}

/** The last word before the first option that is aurproxy's own: Python's options and the module come before. */
function firstOf(words: readonly string[]): number {
  const command = words.findIndex((word) => ["run", "run_replay", "synchronize"].includes(word));
  return Math.max(0, command);
}

async function readOption(name: string, value: unknown) {
  if (value === undefined) return undefined;
  const text = String(value);
  if (!text.startsWith("file://")) return documentOf(`--${name}`, text);
  const path = decodeURIComponent(new URL(text).pathname);
  return documentOf(path, await readText(path));
}
