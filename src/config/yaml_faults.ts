/**
 * What is wrong with a text that is not the YAML that is read, in this house's words. Pure.
 *
 * @module
 */
import { isCollection, isScalar, visit } from "yaml";
import type { Document, ParsedNode, YAMLParseError } from "yaml";

/** Something wrong at an offset of the text. */
export interface YamlFault {
  /** In UTF-16 code units. */
  readonly offset: number;
  /** What is wrong and what is wanted. */
  readonly message: string;
}

/** What a message of a text that is no YAML begins with. */
export const CANNOT_PARSE = "Cannot read the file as YAML";

/** What is wrong with lists and maps that are more than can be read. */
export const TOO_DEEP = "lists and maps are nested too deeply";

/** What is wrong with a tag. */
export const NO_TAGS =
  "Cannot use a YAML tag: only strings, numbers, booleans, lists and maps are supported; remove the word starting with !";

/** Answers where to look: for what is not closed, where it was opened, not where the file ends. */
export function offsetOfError(
  text: string,
  document: Document.Parsed<ParsedNode, false>,
  { code, message, pos }: YAMLParseError,
): number {
  // Where the stack ends says nothing of the file, and is another place each time.
  if (code === "RESOURCE_EXHAUSTION") return 0;
  const unclosed = code === "BAD_INDENT"
    ? /flow/i.test(message)
    : code === "MISSING_CHAR" && /quote|flow/i.test(message);
  let opened: number | undefined;
  if (unclosed) {
    visit(document.contents, {
      Node(_key, node) {
        const opener = /quote/i.test(message)
          ? isScalar(node) && /^QUOTE/.test(node.type ?? "")
          : isCollection(node) && node.flow;
        const [start = 0, , end = 0] = node.range ?? [];
        if (opener === true && start <= pos[0] && pos[0] <= end) opened = start;
      },
    });
  }
  // A line with a wrong indent is reported at its first letter.
  return opened ??
    pos[0] + (code === "BAD_INDENT" ? /^ */.exec(text.slice(pos[0], pos[0] + 1_000))?.[0].length ?? 0 : 0);
}

/**
 * Says what is wrong in this house's words. The library's own are only looked
 * at, never shown: some quote the file, and the file may hold a secret there.
 */
export function wordsFor(error: YAMLParseError): string {
  const { code, message } = error;
  switch (code) {
    case "TAB_AS_INDENT":
      return "lines must be indented with spaces, not tabs";
    case "RESOURCE_EXHAUSTION":
      return TOO_DEEP;
    case "BAD_DQ_ESCAPE":
      return "invalid escape in \"...\"; write \\\\ for a backslash, or use '...'";
    case "BAD_SCALAR_START":
      return "a string that begins with this character must be in quotes";
    case "BLOCK_AS_IMPLICIT_KEY":
      return "second key on the same line; a string that contains a colon and a space must be in quotes";
    case "MULTILINE_IMPLICIT_KEY":
      return "a key must be on one line, followed by a colon and a space";
    case "KEY_OVER_1024_CHARS":
      return "a key must be at most 1024 characters";
    case "BLOCK_IN_FLOW":
      return "lists and maps inside [ ] or { } must use brackets too";
    case "ALIAS_PROPS":
    case "BAD_ALIAS":
    case "MULTIPLE_ANCHORS":
      return "invalid anchor (&name) or alias (*name); a string that begins with & or * must be in quotes";
    case "MULTIPLE_TAGS":
    case "BAD_PROP_ORDER":
    case "TAG_RESOLVE_FAILED":
    case "BAD_COLLECTION_TYPE":
      return "unexpected tag; a string that begins with ! must be in quotes";
    case "BAD_DIRECTIVE":
      return "unknown YAML directive; a line that begins with % is a directive";
    case "BAD_INDENT":
      return /flow/i.test(message) ? "unclosed [ or {, or its content is not indented enough" : "wrong indentation";
    case "MISSING_CHAR":
      if (/quote/i.test(message)) return "unclosed quote";
      if (/map values/.test(message)) return "a key must be followed by a colon and a space";
      if (/, |flow/.test(message)) {
        return "missing comma between values in brackets, or unclosed bracket";
      }
      if (/Comments/.test(message)) return "a comment must have a space before its #";
      if (/^Missing space|- indicator/.test(message)) return "missing space";
      return "incomplete syntax";
    case "UNEXPECTED_TOKEN":
      if (/Block scalar header/.test(message)) return "the text after | or > must begin on the next line";
      if (/node end/.test(message)) return "wrong indentation, or a string that must be in quotes";
      return "unexpected token; a string that begins with a special character must be in quotes";
    default:
      return "syntax error";
  }
}
