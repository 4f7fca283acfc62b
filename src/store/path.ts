/** Location of a value in a document: names and indexes, outermost first; the document itself is `[]`. */
export type Path = readonly string[];

/**
 * Parses a path of a URL, `/services/web/10.0.0.1%3A80`: segments are decoded after the split, so that
 * a key may contain a slash. One trailing slash is ignored. `undefined` for an invalid escape.
 */
export function parsePath(text: string): Path | undefined {
  const start = text.startsWith("/") ? 1 : 0;
  const end = text.endsWith("/") && text.length > start ? text.length - 1 : text.length;
  if (start >= end && !text.startsWith("//")) return [];
  const segments = text.slice(start, Math.max(start, end)).split("/");
  if (!text.includes("%")) return segments;
  try {
    return segments.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** Writes a path for a URL; {@linkcode parsePath} reverses it. */
export function formatPath(path: Path): string {
  const text = `/${path.map((segment) => encodeURIComponent(segment.toWellFormed())).join("/")}`;
  // A trailing slash is ignored, so an empty last key needs one more.
  return path.at(-1) === "" ? `${text}/` : text;
}

/**
 * Returns the paths of all parents of a value, outermost first, without the document itself, as
 * {@linkcode formatPath} writes them.
 */
export function outerTexts(text: string): readonly string[] {
  const outer: string[] = [];
  for (let at = text.indexOf("/", 1); at !== -1; at = text.indexOf("/", at + 1)) {
    // An empty last key has one more slash.
    const before = text.slice(0, at);
    const whole = before.endsWith("/") ? `${before}/` : before;
    if (whole.length < text.length) outer.push(whole);
  }
  return outer;
}

/** Whether a path leads to a value, or into it. */
export function isWithin(path: Path, outer: Path): boolean {
  return outer.length <= path.length && outer.every((segment, i) => segment === path[i]);
}

/** Whether a change at one path is visible at the other. */
export function overlap(a: Path, b: Path): boolean {
  return isWithin(a, b) || isWithin(b, a);
}
