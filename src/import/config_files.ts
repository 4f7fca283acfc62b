/**
 * The config directory that an import makes: files by name, and registries
 * that several of them share. Pure.
 *
 * @module
 */
import { stringify } from "yaml";
import { isName } from "../config/schema_words.ts";

/** A value that a file of the config directory says. */
export type FileValue = { readonly [key: string]: unknown };

/** The files of a config directory, as they are added. */
export class ConfigFiles {
  readonly #files = new Map<string, string>();
  readonly #origin: string;

  /** @param origin what they are made from, for the first line of each */
  constructor(origin: string) {
    this.#origin = origin;
  }

  /** Adds `services/web.yaml`; `notes` stand above it as comments. A file that is switched off is not read. */
  add(name: string, value: FileValue, { notes = [], isOff = false }: {
    readonly notes?: readonly string[];
    readonly isOff?: boolean;
  } = {}): string {
    const path = `${name}.yaml${isOff ? ".disabled" : ""}`;
    const comments = [`Imported from ${this.#origin}`, ...notes].map((note) => `# ${note.replaceAll(/\s+/g, " ")}\n`);
    this.#files.set(path, comments.join("") + toYaml(value));
    return path;
  }

  /** Adds a file as it is. */
  addText(path: string, text: string): void {
    this.#files.set(path, text);
  }

  /** Adds a registry, unless there is one that says the same, and answers its name. */
  discovery(type: string, value: FileValue): string {
    for (let number = 1;; number++) {
      const name = number === 1 ? type : `${type}-${number}`;
      const said = this.#discoveries.get(name);
      const text = JSON.stringify([type, value]);
      if (said === text) return name;
      if (said !== undefined) continue;
      this.#discoveries.set(name, text);
      this.add(`discovery/${name}`, name === type ? value : { type, ...value });
      return name;
    }
  }
  readonly #discoveries = new Map<string, string>();

  /** All files, sorted by path. */
  get all(): ReadonlyMap<string, string> {
    return new Map([...this.#files].toSorted(([a], [b]) => a < b ? -1 : 1));
  }
}

/** Writes a value as the YAML that config files are read as: 1.1, where `on` and `1:30` are not strings. */
export function toYaml(value: unknown): string {
  return stringify(value, { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false });
}

/** Names given to files: letters, digits and `_ . : -`, each name once. */
export class FileNames {
  readonly #taken = new Set<string>();

  /** Answers the name itself, or the nearest one that is valid and free. */
  nearest(name: string): string {
    const valid = isName(name) ? name : name.replaceAll(/[^A-Za-z0-9_.:-]+/g, "-").replace(/^[.-]+/, "").slice(0, 200);
    for (let number = 1;; number++) {
      const free = number === 1 ? valid || "imported" : `${valid || "imported"}-${number}`;
      if (this.#taken.has(free)) continue;
      this.#taken.add(free);
      return free;
    }
  }
}
