/** The owner of a file, in numbers. */
export interface Owner {
  readonly uid: number;
  /** The group; if absent, the file keeps its group. */
  readonly gid: number | null;
}

/**
 * Looks up `USER` or `USER:GROUP`, by name or number. Throws for a name that `/etc/passwd` or
 * `/etc/group` does not have.
 */
export async function findOwner(owner: string): Promise<Owner> {
  const [user = "", group] = owner.split(":");
  const [uid, gid] = await Promise.all([
    numberOf(user, { what: "user", table: "/etc/passwd" }),
    group === undefined ? null : numberOf(group, { what: "group", table: "/etc/group" }),
  ]);
  return { uid, gid };
}

/** The names of users and groups, by number. */
export interface OwnerNames {
  readonly users: ReadonlyMap<number, string>;
  readonly groups: ReadonlyMap<number, string>;
}

/** Reads the names of users and groups; none where the tables cannot be read. */
export async function readOwnerNames(): Promise<OwnerNames> {
  const [users, groups] = await Promise.all(["/etc/passwd", "/etc/group"].map(async (table) => {
    const lines = (await Deno.readTextFile(table).catch(() => "")).split("\n");
    // The first name of a number counts.
    return new Map(lines.map((line) => line.split(":")).toReversed().map(([name = "", , id]) => [Number(id), name]));
  }));
  return { users: users ?? new Map(), groups: groups ?? new Map() };
}

async function numberOf(
  name: string,
  { what, table }: { readonly what: string; readonly table: string },
): Promise<number> {
  if (/^[0-9]{1,10}$/.test(name)) return Number(name);
  const entries = (await Deno.readTextFile(table)).split("\n").map((line) => line.split(":"));
  const id = entries.find(([known]) => known === name)?.[2];
  if (id === undefined) throw new Error(`${table} has no ${what} ${JSON.stringify(name)}`);
  return Number(id);
}
