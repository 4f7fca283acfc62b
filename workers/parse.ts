/**
 * Processes the source of a plugin's module before anybody runs it: types
 * are replaced by spaces, and imports are found. Pure.
 *
 * @module
 */
import { type AnyNode, type ImportExpression, type Literal, type Node, parse as parseScript } from "acorn";
import { transformSync } from "amaro";
import type { ModuleImport, ParsedModule } from "../src/plugin/graph.ts";

/**
 * Parses a module; the suffix of `path` distinguishes TypeScript. Throws a `SyntaxError` with line and
 * column for invalid code, for TypeScript that cannot be stripped, and for an import whose target is
 * not a literal.
 */
export function parseModule(path: string, text: string): ParsedModule {
  const code = /\.m?ts$/.test(path) ? stripTypes(text) : text;
  const imports: ModuleImport[] = [];
  const note = (source: AnyNode | Literal, attributes: unknown) => {
    const { line, column } = start(source);
    if (source.type !== "Literal" || typeof source.value !== "string") {
      throw fault("Cannot use import(): the specifier must be a string literal", line, column);
    }
    const isBare = attributes === undefined || attributes === null ||
      (Array.isArray(attributes) && attributes.length === 0);
    if (!isBare) throw fault("Cannot use import attributes: only code can be imported", line, column);
    imports.push({ specifier: source.value, start: source.start, end: source.end, line, column });
  };
  visit(toTree(code), (node) => {
    switch (node.type) {
      case "ImportDeclaration":
        return note(node.source, node.attributes);
      case "ExportAllDeclaration":
      case "ExportNamedDeclaration":
        return node.source ? note(node.source, node.attributes) : undefined;
      case "ImportExpression":
        return note(node.source, (node as ImportExpression).options);
    }
  });
  return { code, imports };
}

/** Replaces types by spaces; every other character stays where it is. */
function stripTypes(text: string): string {
  try {
    return transformSync(text, { mode: "strip-only" }).code;
  } catch (error) {
    // The parser throws plain objects for syntax errors.
    const { message, startLine, startColumn } = error as Record<string, unknown>;
    if (typeof startLine !== "number" || typeof startColumn !== "number") throw error;
    throw fault(String(message), startLine, startColumn + 1);
  }
}

function toTree(code: string): AnyNode {
  try {
    return parseScript(code, { ecmaVersion: "latest", sourceType: "module", locations: true }) as AnyNode;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const { line, column } = (error as SyntaxError & { readonly loc: { line: number; column: number } }).loc;
    throw fault(error.message.replace(/ \(\d+:\d+\)$/, ""), line, column + 1);
  }
}

/** Visits each node of a tree, parents first. */
function visit(root: AnyNode, look: (node: AnyNode) => void): void {
  const waiting: AnyNode[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    look(node);
    const inner = Object.values(node).flat().filter(isNode) as AnyNode[];
    waiting.push(...inner.toReversed());
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string" &&
    "start" in value;
}

function start(node: Node): { readonly line: number; readonly column: number } {
  const { line, column } = node.loc?.start ?? { line: 1, column: 0 };
  return { line, column: column + 1 };
}

function fault(message: string, line: number, column: number): SyntaxError {
  return new SyntaxError(`${line}:${column}: ${message.replace(/\.$/, "")}`);
}
