/** A reference model of a store: each change clones the whole document. */
type Value = null | boolean | number | string | Value[] | Map<string, Value>;

/** Parses JSON into the model's values. */
export function valueOf(json: unknown): Value {
  if (Array.isArray(json)) return json.map(valueOf);
  if (typeof json !== "object" || json === null) return json as Value;
  return new Map(Object.entries(json).map(([key, value]) => [key, valueOf(value)]));
}

/** Encodes a value uniquely: objects as sorted lists of entries. */
export function plain(value: Value): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return { entries: [...value].toSorted(([a], [b]) => a < b ? -1 : 1).map(([key, inner]) => [key, plain(inner)]) };
}

function same(a: Value, b: Value): boolean {
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

function child(value: Value, segment: string): Value | undefined {
  if (value instanceof Map) return value.get(segment);
  return Array.isArray(value) && String(Number(segment)) === segment ? value[Number(segment)] : undefined;
}

function at(value: Value, path: readonly string[]): Value | undefined {
  let here: Value | undefined = value;
  for (const segment of path) here = here === undefined ? undefined : child(here, segment);
  return here;
}

/** The model of a store, without its disk. */
export class Model {
  data: Value = new Map();
  sequence = 0;
  nowMs = 0;
  lock: {
    code: string;
    endsMs: number;
    staged: Value;
    base: Value;
    writes: { path: string[]; wanted?: Value }[];
    disturbed: string[][];
    lost: boolean;
  } | undefined;
  /** The keys of the one lease, if it was granted. */
  leased: Set<string> | undefined;

  get(path: readonly string[]): Value | undefined {
    return at(this.data, path);
  }

  acquire(code: string): string {
    this.#dropLate();
    if (this.lock !== undefined && this.lock.code !== code) return "Locked";
    this.lock ??= {
      code,
      endsMs: 0,
      staged: structuredClone(this.data),
      base: this.data,
      writes: [],
      disturbed: [],
      lost: false,
    };
    this.lock.endsMs = this.nowMs + 30_000;
    return "ok";
  }

  put(code: string, path: readonly string[], json: unknown): string {
    const barred = this.#barred(code);
    if (barred !== undefined || this.lock === undefined) return barred ?? "";
    const staged = set(structuredClone(this.lock.staged), path, valueOf(json));
    if (staged === undefined) return "Not Found";
    this.lock.staged = staged;
    this.lock.writes.push({ path: [...path], wanted: valueOf(json) });
    return "ok";
  }

  remove(code: string, path: readonly string[]): string {
    const barred = this.#barred(code);
    if (barred !== undefined || this.lock === undefined) return barred ?? "";
    if (at(this.lock.staged, path) === undefined) return "Not Found";
    this.lock.staged = unset(structuredClone(this.lock.staged), path);
    this.lock.writes.push({ path: [...path] });
    return "ok";
  }

  abort(code: string): string {
    const barred = this.#barred(code);
    if (barred === undefined) this.lock = undefined;
    return barred ?? "ok";
  }

  /** Changes of leases in between are rebased: they touch nothing that the transaction does. */
  commit(code: string): string {
    const barred = this.#barred(code);
    if (barred !== undefined || this.lock === undefined) return barred ?? "";
    const { staged, lost, writes, disturbed } = this.lock;
    if (!same(staged, this.data)) {
      const touches = (a: string[], b: string[]) => a.every((s, i) => i >= b.length || s === b[i]);
      if (lost || writes.some(({ path }) => disturbed.some((d) => touches(path, d)))) return "Concurrent Update";
      // Changes of leases in between stay, and the transaction's own changes are applied again.
      let merged: Value | undefined = structuredClone(this.data);
      for (const { path, wanted } of writes) {
        merged = wanted === undefined
          ? unset(merged as Value, path)
          : set(merged as Value, path, structuredClone(wanted));
        if (merged === undefined) return "Concurrent Update";
      }
      if (!same(merged, this.data)) {
        this.data = merged;
        this.sequence++;
      }
    }
    this.lock = undefined;
    return "ok";
  }

  accept(json: unknown, sequence: number): void {
    if (sequence <= this.sequence) return;
    this.data = valueOf(json);
    this.sequence = sequence;
    this.leased = undefined;
    if (this.lock !== undefined) this.lock.lost = true;
  }

  /** Sets the keys of the one lease, all of them below `leased`. */
  lease(keys: Readonly<Record<string, unknown>>): string {
    const wanted = new Map(Object.entries(keys).map(([key, json]) => [key, valueOf(json)]));
    const isThere = (key: string, value: Value) => {
      const there = at(this.data, ["leased", key]);
      return there !== undefined && same(there, value);
    };
    if (
      this.leased?.size === wanted.size && [...wanted].every(([key, v]) => this.leased?.has(key) && isThere(key, v))
    ) {
      return "ok";
    }
    const holds = at(this.data, ["leased"]);
    if (wanted.size > 0 && (!(this.data instanceof Map) || (holds !== undefined && !(holds instanceof Map)))) {
      return "Concurrent Update";
    }
    let data = structuredClone(this.data);
    for (const key of this.leased ?? []) {
      if (wanted.has(key) || at(data, ["leased", key]) === undefined) continue;
      data = unset(data, ["leased", key]);
      this.lock?.disturbed.push(["leased", key]);
    }
    for (const [key, value] of wanted) {
      if (isThere(key, value)) continue;
      data = setDeep(data, ["leased", key], value);
      this.lock?.disturbed.push(["leased", key]);
    }
    this.data = data;
    this.leased = new Set(wanted.keys());
    this.sequence++;
    return "ok";
  }

  #dropLate(): void {
    if (this.lock !== undefined && this.nowMs >= this.lock.endsMs) this.lock = undefined;
  }
  #barred(code: string): string | undefined {
    this.#dropLate();
    if (this.lock === undefined) return "Not Locked";
    return this.lock.code === code ? undefined : "Invalid Lock Code";
  }
}

function set(value: Value, path: readonly string[], wanted: Value): Value | undefined {
  const [segment, ...rest] = path;
  if (segment === undefined) return wanted;
  const before = child(value, segment);
  if (rest.length > 0 && before === undefined) return undefined;
  const inner = rest.length === 0 ? wanted : set(before as Value, rest, wanted);
  if (inner === undefined) return undefined;
  if (value instanceof Map) return value.set(segment, inner);
  if (!Array.isArray(value) || String(Number(segment)) !== segment) return undefined;
  const index = Number(segment);
  if (!(index >= 0 && index <= value.length)) return undefined;
  value[index] = inner;
  return value;
}

function setDeep(value: Value, path: readonly string[], wanted: Value): Value {
  const [segment, ...rest] = path;
  if (segment === undefined) return wanted;
  const map = value instanceof Map ? value : new Map<string, Value>();
  return map.set(segment, setDeep(map.get(segment) ?? new Map(), rest, wanted));
}

function unset(value: Value, path: readonly string[]): Value {
  const [segment, ...rest] = path;
  if (segment === undefined) return new Map();
  if (rest.length > 0) {
    const inner = unset(child(value, segment) as Value, rest);
    if (value instanceof Map) value.set(segment, inner);
    else if (Array.isArray(value)) value[Number(segment)] = inner;
  } else if (value instanceof Map) value.delete(segment);
  else if (Array.isArray(value)) value.splice(Number(segment), 1);
  return value;
}
