import { converted, houseSchema, keys, list, mapOf, matching, optional } from "../../../src/kernel/schema.ts";

const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/;
const text = () =>
  converted(
    (value) =>
      /^(?:string|number|boolean)$/.test(typeof value) && !String(value).includes("\0") ? String(value) : undefined,
    "a string without NUL characters",
  );

/** A file of `notifiers/` with the type `exec`. */
export const schema = houseSchema(keys({
  command: matching(PATH, 'the absolute path of a program, without empty, "." or ".." segments'),
  args: optional(list(text(), "a list of strings"), []),
  env: optional(mapOf(text()), {}),
}));
