/** Where a value stands in a document: the names and indexes that lead to it, outermost first; the document itself is `[]`. */
export type Path = readonly string[];

/**
 * Reads a path as it stands in a URL, `/services/web/10.0.0.1%3A80`: segments
 * are decoded after they were split, so that a key may hold a slash. One
 * slash at the end says nothing. `undefined` if an escape is broken.
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

/** Writes a path as it stands in a URL; {@linkcode parsePath} reads it back. */
export function formatPath(path: Path): string {
  const text = `/${path.map((segment) => encodeURIComponent(segment.toWellFormed())).join("/")}`;
  // A slash at the end says nothing, so that an empty key at the end needs one more.
  return path.at(-1) === "" ? `${text}/` : text;
}

/**
 * Answers the texts of the paths that lead to what holds a value, outermost
 * first, the document itself left out. Takes a path as {@linkcode formatPath}
 * writes it.
 */
export function outerTexts(text: string): readonly string[] {
  const outer: string[] = [];
  for (let at = text.indexOf("/", 1); at !== -1; at = text.indexOf("/", at + 1)) {
    // An empty key at the end has one slash more.
    const before = text.slice(0, at);
    const whole = before.endsWith("/") ? `${before}/` : before;
    if (whole.length < text.length) outer.push(whole);
  }
  return outer;
}

/** Whether a path leads to a value or to something within it. */
export function isWithin(path: Path, outer: Path): boolean {
  return outer.length <= path.length && outer.every((segment, i) => segment === path[i]);
}

/** Whether a change at one path may be seen at the other. */
export function overlap(a: Path, b: Path): boolean {
  return isWithin(a, b) || isWithin(b, a);
}
