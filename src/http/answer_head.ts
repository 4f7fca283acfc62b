import { assert } from "../kernel/assert.ts";
import type { HttpAnswer } from "./request.ts";

/** Framing of an answer's body: by length, in chunks, until the connection ends, or no body. */
export type AnswerFraming = { readonly length: number } | "chunks" | "close" | "nothing";

/** Parts of an answer's head that the server adds to the handler's. */
export interface AnswerHeadOptions {
  readonly framing: AnswerFraming;
  /** Whether the connection accepts another request. */
  readonly keepsAlive: boolean;
  /** Whether that must be stated, as HTTP/1.0 assumes the opposite. */
  readonly isHttp11: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** Formats the head of an answer, ASCII only. Pure except for the date, which is cached for a second. */
export function formatAnswerHead(
  { status, headers }: Pick<HttpAnswer, "status" | "headers">,
  { framing, keepsAlive, isHttp11, nowMs }: AnswerHeadOptions,
): string {
  let text = `HTTP/1.1 ${status} ${REASONS.get(status) ?? ""}\r\n`;
  for (const [name, value] of headers) {
    assert(FIELD_VALUE.test(value) && !OWN.has(name), `handlers may set the response header ${name}`);
    text += `${name}: ${value}\r\n`;
  }
  text += `date: ${dateText(nowMs)}\r\n`;
  if (framing === "chunks") text += "transfer-encoding: chunked\r\n";
  else if (typeof framing === "object") text += `content-length: ${framing.length}\r\n`;
  if (!keepsAlive || framing === "close") text += "connection: close\r\n";
  else if (!isHttp11) text += "connection: keep-alive\r\n";
  return `${text}\r\n`;
}

/** The formatted date of the current second: thousands of answers share one. */
let dated = { second: NaN, text: "" };

function dateText(nowMs: number): string {
  const second = Math.floor(nowMs / 1_000);
  if (second !== dated.second) dated = { second, text: new Date(nowMs).toUTCString() };
  return dated.text;
}

/** A line break in a value would start another header. */
const FIELD_VALUE = /^[\t\x20-\x7e]*$/;
/** Headers that only the server sets. */
const OWN: ReadonlySet<string> = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding"]);
const REASONS: ReadonlyMap<number, string> = new Map([
  [200, "OK"],
  [201, "Created"],
  [204, "No Content"],
  [304, "Not Modified"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [409, "Conflict"],
  [413, "Content Too Large"],
  [417, "Expectation Failed"],
  [421, "Misdirected Request"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [503, "Service Unavailable"],
]);
