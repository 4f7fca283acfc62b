import type { KeysEntry } from "../../../mod.ts";

/** Missing keys that a template asked for: all of them are named. */
export class MissingKeys {
  readonly #names = new Set<string>();

  /** Notes a key. */
  note(name: string): void {
    this.#names.add(name);
  }

  /** Their names, sorted. */
  get names(): readonly string[] {
    return [...this.#names].toSorted();
  }
}

/** A key and its value, as templates see it. */
export interface TemplateKey {
  readonly key: string;
  readonly value: string;
}

/** The keys under a prefix, as templates ask for them. */
export class KeyTree {
  readonly #entries: readonly TemplateKey[];
  readonly #values: ReadonlyMap<string, string>;
  readonly #missing: MissingKeys;

  constructor(entries: readonly KeysEntry[], missing: MissingKeys) {
    this.#entries = entries.map(({ key, value }) => ({ key: normal(key), value }));
    this.#values = new Map(this.#entries.map(({ key, value }) => [key, value]));
    this.#missing = missing;
  }

  /** The value of a key; without one, `standard`; without that, the key is noted as missing. */
  get(key: string, standard?: unknown): unknown {
    const value = this.#values.get(normal(key));
    if (value !== undefined) return value;
    if (standard !== undefined) return standard;
    this.#missing.note(normal(key));
    return "";
  }

  /** The keys that match a pattern, in which `*` stands for any part of a name. */
  gets(pattern: string): readonly TemplateKey[] {
    const parts = normal(pattern).split("/").map((part) => part.split("*"));
    return this.#entries.filter(({ key }) => {
      const names = key.split("/");
      return names.length === parts.length && names.every((name, i) => matches(name, parts[i] ?? []));
    });
  }

  /** The names directly below a key, sorted: of keys and of directories. */
  ls(key: string): readonly string[] {
    return [...new Set(this.#below(key).map((names) => names[0] ?? ""))].toSorted();
  }

  /** The names of directories directly below a key, sorted. */
  lsdir(key: string): readonly string[] {
    return [...new Set(this.#below(key).filter(({ length }) => length > 1).map(([name = ""]) => name))].toSorted();
  }

  /** Whether there is such a key, or any below it. */
  exists(key: string): boolean {
    return this.#values.has(normal(key)) || this.#below(key).length > 0;
  }

  #below(key: string): readonly (readonly string[])[] {
    const prefix = normal(key) === "/" ? "/" : `${normal(key)}/`;
    return this.#entries.filter((entry) => entry.key.startsWith(prefix)).map((entry) =>
      entry.key.slice(prefix.length).split("/")
    );
  }
}

/** Starts with a slash, and does not end with one. */
function normal(key: string): string {
  return `/${key.split("/").filter((name) => name !== "").join("/")}`;
}

/**
 * Whether a name has these parts in this order, with anything in between. Takes time in proportion to its
 * length.
 */
function matches(name: string, [first = "", ...rest]: readonly string[]): boolean {
  if (rest.length === 0) return name === first;
  const last = rest.pop() ?? "";
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > name.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}
