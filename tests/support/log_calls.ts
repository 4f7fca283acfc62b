/** Finds the log calls of a module, and the event and fields of each. */

/** One call of a logger. */
export interface LogCall {
  /** `src/app/app.ts:246`. */
  readonly where: string;
  /** The levels that it may log at; empty if the source does not show them. */
  readonly levels: ReadonlySet<string>;
  /** The events that it may log. */
  readonly events: ReadonlySet<string>;
  /** The fields beside `event`, as far as the source shows them. */
  readonly fields: ReadonlySet<string>;
  /** Whether it only forwards what another call has logged. */
  readonly isPassedOn: boolean;
}

/** A module's log calls, and each event that it names anywhere. */
export interface LogCalls {
  readonly calls: readonly LogCall[];
  readonly named: ReadonlySet<string>;
}

const METHODS = new Set(["debug", "info", "warn", "error"]);

/** The names of forwarded records. */
const PASSED_ON = new Set(["properties", "clean"]);

/** The value of a variable at a place: the innermost of its name there. */
type Inits = (name: string) => Deno.lint.Expression | undefined;

/** A variable that is visible in a block. */
interface Variable {
  readonly name: string;
  readonly init: Deno.lint.Expression;
  readonly block: readonly [begin: number, end: number];
}

/** Reads a module. */
export function findLogCalls(path: string, source: string): LogCalls {
  const found: Deno.lint.CallExpression[] = [];
  const variables: Variable[] = [];
  const initsAt = ({ range: [at] }: Deno.lint.Node): Inits => (name) =>
    variables.filter((each) => each.name === name && each.block[0] <= at && at < each.block[1])
      .toSorted((a, b) => b.block[0] - a.block[0])[0]?.init;
  const named = new Set<string>();
  const calls: LogCall[] = [];
  const rule: Deno.lint.Rule = {
    create: () => ({
      CallExpression(node) {
        if (node.callee.type === "MemberExpression" && isLogger(node.callee.object)) found.push(node);
      },
      VariableDeclarator(node) {
        const { id, init } = node;
        if (id.type === "Identifier" && init) variables.push({ name: id.name, init, block: blockOf(node) });
      },
      Property(node) {
        const { key, value } = node;
        if (nameOf(key) === "event") eachString(value, () => undefined, (id) => named.add(id));
      },
      "Program:exit"() {
        for (const node of found) {
          const call = readCall(node, initsAt(node));
          const line = source.slice(0, node.range[0]).split("\n").length;
          if (call !== undefined) calls.push({ where: `${path}:${line}`, ...call });
        }
      },
    }),
  };
  Deno.lint.runPlugin({ name: "events", rules: { calls: rule } }, new URL(`file:///${path}`).pathname, source);
  return { calls, named };
}

/** The block that a variable is declared in. */
function blockOf(node: Deno.lint.Node): readonly [number, number] {
  for (let at: Deno.lint.Node = node;;) {
    if (at.type === "BlockStatement" || at.type === "Program" || !("parent" in at)) return at.range;
    at = at.parent as Deno.lint.Node;
  }
}

/** `log`, `this.#log`, `options.log`, `log.part("app")`. */
function isLogger(node: Deno.lint.Node): boolean {
  if (node.type === "Identifier") return node.name === "log";
  if (node.type === "CallExpression") {
    return node.callee.type === "MemberExpression" && nameOf(node.callee.property) === "part";
  }
  return node.type === "MemberExpression" && !node.computed && nameOf(node.property) === "log";
}

function nameOf(node: Deno.lint.Node): string | undefined {
  return node.type === "Identifier" || node.type === "PrivateIdentifier" ? node.name.replace(/^#/, "") : undefined;
}

function readCall(
  { callee, arguments: args }: Deno.lint.CallExpression,
  inits: Inits,
): Omit<LogCall, "where"> | undefined {
  if (callee.type !== "MemberExpression") return undefined;
  const levels = new Set<string>();
  if (callee.computed) eachString(callee.property, inits, (level) => levels.add(level));
  else {
    const method = nameOf(callee.property) ?? "";
    if (!METHODS.has(method)) return undefined;
    levels.add(method);
  }
  const [events, fields] = [new Set<string>(), new Set<string>()];
  const isPassedOn = readProperties(args[1], inits, { events, fields });
  return { levels, events, fields, isPassedOn };
}

/** Adds the fields of an object to `into`; returns whether it forwards the records of others. */
function readProperties(
  node: Deno.lint.Node | undefined,
  inits: Inits,
  into: { readonly events: Set<string>; readonly fields: Set<string> },
): boolean {
  if (node === undefined) return false;
  if (node.type === "Identifier" || node.type === "MemberExpression") {
    const name = node.type === "Identifier" ? node.name : nameOf(node.property) ?? "";
    if (PASSED_ON.has(name)) return true;
    const init = node.type === "Identifier" ? inits(name) : undefined;
    return init?.type === "ObjectExpression" && readProperties(init, inits, into);
  }
  if (node.type === "LogicalExpression") return readProperties(node.right, inits, into);
  if (node.type === "ConditionalExpression") {
    return [node.consequent, node.alternate].map((arm) => readProperties(arm, inits, into)).includes(true);
  }
  if (node.type !== "ObjectExpression") return false;
  let isPassedOn = false;
  for (const property of node.properties) {
    if (property.type === "SpreadElement") isPassedOn = readProperties(property.argument, inits, into) || isPassedOn;
    else {
      const name = nameOf(property.key) ?? "";
      if (name === "event") eachString(property.value, inits, (id) => into.events.add(id));
      else into.fields.add(name);
    }
  }
  return isPassedOn;
}

/** Calls back with each string that an expression can be. */
function eachString(node: Deno.lint.Node, inits: Inits, take: (text: string) => void): void {
  if (node.type === "Literal" && typeof node.value === "string") take(node.value);
  if (node.type === "ConditionalExpression") {
    eachString(node.consequent, inits, take);
    eachString(node.alternate, inits, take);
  }
  const init = node.type === "Identifier" ? inits(node.name) : undefined;
  if (init !== undefined) eachString(init, inits, take);
}
