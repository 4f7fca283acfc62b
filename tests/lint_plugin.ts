/**
 * The project's lint rules: `layers/imports` (who may import whom) and
 * `layers/pure` (which folders only decide), both read from `layers.ts`, and
 * `layers/voice` (which words texts avoid), read from `voice.ts`.
 *
 * @module
 */
import { importFault, IMPURE_GLOBALS, isTest, layerOf } from "./layers.ts";
import { isVoiceChecked, voiceFaults } from "./voice.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** Returns a file's path from the project's root. */
function relative(filename: string): string {
  return filename.startsWith(ROOT) ? filename.slice(ROOT.length) : filename;
}

/** Whether all that an import or export names are types, so that nothing of it is left at run time. */
function namesTypesOnly(kind: "type" | "value", specifiers: readonly Deno.lint.Node[]): boolean {
  if (kind === "type") return true;
  return specifiers.length > 0 &&
    specifiers.every((specifier) =>
      (specifier.type === "ImportSpecifier" && specifier.importKind === "type") ||
      (specifier.type === "ExportSpecifier" && specifier.exportKind === "type")
    );
}

const imports: Deno.lint.Rule = {
  create(context) {
    const from = relative(context.filename);
    const look = (node: Deno.lint.Node, specifier: unknown, typesOnly: boolean) => {
      if (typeof specifier !== "string") return;
      const fault = importFault(from, specifier, typesOnly);
      if (fault !== undefined) context.report({ node, message: fault, hint: "The layers are in tests/layers.ts" });
    };
    return {
      ImportDeclaration(node) {
        look(node, node.source.value, namesTypesOnly(node.importKind, node.specifiers));
      },
      ExportAllDeclaration(node) {
        look(node, node.source.value, node.exportKind === "type");
      },
      ExportNamedDeclaration(node) {
        if (node.source) look(node, node.source.value, namesTypesOnly(node.exportKind, node.specifiers));
      },
      ImportExpression(node) {
        if (node.source.type === "Literal") look(node, node.source.value, false);
      },
    };
  },
};

/** Whether an identifier is only a name within something else: a property, a key, a type, a binding. */
function isMereName(node: Deno.lint.Identifier): boolean {
  const parent = node.parent as Deno.lint.Node;
  switch (parent.type) {
    case "MemberExpression":
      return parent.property === node && !parent.computed;
    case "Property":
      return parent.key === node && !parent.computed && !parent.shorthand;
    case "MethodDefinition":
    case "PropertyDefinition":
      return parent.key === node && !parent.computed;
    default:
      return parent.type.startsWith("TS");
  }
}

const pure: Deno.lint.Rule = {
  create(context) {
    const path = relative(context.filename);
    const layer = layerOf(path);
    if (layer?.pure !== true || isTest(path)) return {};
    const report = (node: Deno.lint.Node, name: string) =>
      context.report({
        node,
        message: `${layer.name} is pure: it may not use ${name}`,
        hint: "Effects, time and chance come in as parameters",
      });
    return {
      Identifier(node) {
        if (IMPURE_GLOBALS.has(node.name) && !isMereName(node)) report(node, node.name);
      },
      MemberExpression(node) {
        if (node.object.type !== "Identifier" || node.property.type !== "Identifier") return;
        const name = `${node.object.name}.${node.property.name}`;
        if (name === "Math.random" || name === "AbortSignal.timeout") report(node, name);
      },
    };
  },
};

const voice: Deno.lint.Rule = {
  create(context) {
    if (!isVoiceChecked(relative(context.filename))) return {};
    const look = (range: Deno.lint.Node["range"], text: string) => {
      const [message] = voiceFaults(text);
      if (message !== undefined) context.report({ range, message, hint: "The words are in tests/voice.ts" });
    };
    // A string without a space is a key, a value or a path.
    const lookAtString = (node: Deno.lint.Node, text: string) => /\S\s+\S/.test(text) && look(node.range, text);
    return {
      Program() {
        for (const comment of context.sourceCode.getAllComments()) {
          look(comment.range, comment.value.replaceAll(/^\s*\*/gm, "").replaceAll(/`[^`\n]*`/g, ""));
        }
      },
      Literal(node) {
        if (typeof node.value === "string") lookAtString(node, node.value);
      },
      TemplateElement(node) {
        lookAtString(node, node.cooked);
      },
    };
  },
};

const plugin: Deno.lint.Plugin = { name: "layers", rules: { imports, pure, voice } };

export default plugin;
