/**
 * `deno task man`: writes `dist/lighthouse.1`, the manual page, from the same
 * descriptions that `--help` prints. See man(7) for the macros.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- this program's output is its purpose
import type { DocEntry, DocPage } from "@optique/core/doc";
import { formatMessage, type Message } from "@optique/core/message";
import { getDocPage } from "@optique/core/parser";
import { formatUsage, formatUsageTerm } from "@optique/core/usage";
import { parser } from "./arguments.ts";

/** The words of a command, such as `store get`, and its documentation. */
interface CommandPage {
  readonly words: readonly string[];
  readonly page: DocPage;
}

/** Returns the manual page, as roff source. */
export function manPage(version: string): string {
  return [
    `.TH LIGHTHOUSE 1 "" "Lighthouse ${escape(version)}" "User Commands"`,
    ".SH NAME",
    String.raw`lighthouse \- keep the local load balancer in sync with service discovery`,
    ".SH SYNOPSIS",
    ".B lighthouse",
    ".I COMMAND",
    "[\\fIOPTION\\fR]... \\fIDIR\\fR",
    ".SH DESCRIPTION",
    paragraph(
      "The reporter health-checks the services of this host and registers the healthy ones. The writer watches the " +
        "clusters that this host uses and keeps the local load balancer in sync, so that applications connect to a local port.",
    ),
    ".SH COMMANDS",
    ...pagesOf([]).flatMap(commandSection),
    ".SH EXIT STATUS",
    paragraph("0 on success, 1 on failure, 2 on a usage error. Other values are listed with each command."),
    ".SH SEE ALSO",
    ".BR haproxy (1)",
    "",
  ].join("\n");
}

/** The pages of all commands below some words, in the order of `--help`. */
function pagesOf(words: readonly string[]): readonly CommandPage[] {
  const page = getDocPage(parser, words);
  if (page === undefined) return [];
  const below = commandNames(page).flatMap((name) => pagesOf([...words, name]));
  return words.length === 0 ? below : [{ words, page }, ...below];
}

function commandNames(page: DocPage): readonly string[] {
  return page.sections.flatMap(({ entries }) =>
    entries.flatMap(({ term }) => term.type === "command" ? [term.name] : [])
  );
}

function commandSection({ words, page }: CommandPage): readonly string[] {
  const usage = page.usage === undefined ? "" : formatUsage("lighthouse", page.usage, { expandCommands: false });
  // What a command with subcommands takes is on the pages of those.
  const sections = page.sections
    .map(({ title, entries }) => ({ title, entries: entries.filter(({ term }) => term.type !== "command") }))
    .filter(({ entries }) => entries.length > 0);
  return [
    `.SS lighthouse ${escape(words.join(" "))}`,
    paragraph(plain(page.description ?? page.brief)),
    ...commandNames(page).length > 0 ? [] : [".PP", `.B ${escape(usage)}`],
    ...sections.flatMap(({ title, entries }) => [
      ...title === undefined ? [] : [".PP", `${escape(title)}:`],
      ...entries.flatMap(entryItem),
    ]),
  ];
}

function entryItem({ term, description, default: fallback, choices }: DocEntry): readonly string[] {
  const notes = [
    plain(description),
    choices === undefined ? "" : `Choices: ${plain(choices)}.`,
    fallback === undefined ? "" : `Default: ${plain(fallback)}.`,
  ];
  return [".TP", `.B ${escape(formatUsageTerm(term))}`, escape(notes.filter((note) => note !== "").join(" "))];
}

function plain(message: Message | undefined): string {
  return message === undefined ? "" : formatMessage(message, { quotes: false }).replaceAll(/\s+/g, " ").trim();
}

function paragraph(text: string): string {
  return `.PP\n${escape(text)}`;
}

/** Escapes what roff would interpret: backslashes, hyphens (which it would make typographic ones), a control character at the begin of a line. */
export function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll(/^([.'])/gm, "\\&$1");
}

if (import.meta.main) {
  const path = new URL("../../dist/lighthouse.1", import.meta.url);
  await Deno.mkdir(new URL(".", path), { recursive: true });
  const { version } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  await Deno.writeTextFile(path, manPage(version));
  console.log("dist/lighthouse.1");
}
