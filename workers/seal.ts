/**
 * Takes away what a plugin that does not ship could bring code in with that
 * nobody has parsed: code made from text, workers of its own, the modules of
 * Node, the inside of Deno. All that it runs is then in the modules whose hash
 * was approved, and an import that was refused there cannot be made here:
 * `npm:` takes no permission in Deno, leaves the machine, and one package that
 * is not in the lock file ends every worker that is made afterwards.
 *
 * It comes before the plugin's first line; what it may touch is limited by the
 * worker's permissions all the same.
 */
export function seal(): void {
  const refuse: { (): never; prototype: unknown } = function (): never {
    throw new EvalError("Cannot make code from text in a plugin: all that it runs must be in its modules");
  };
  // So that what is a function is still an instance of Function.
  refuse.prototype = Function.prototype;
  const makers = [function () {}, async function () {}, function* () {}, async function* () {}];
  for (const maker of makers) {
    Object.defineProperty(Object.getPrototypeOf(maker), "constructor", { value: refuse });
  }
  for (const name of ["eval", "Function"]) Object.defineProperty(globalThis, name, { value: refuse });
  for (const name of ["Worker", "process", "global"]) Reflect.deleteProperty(globalThis, name);
  const inside = (Deno as unknown as { readonly internal?: symbol }).internal;
  if (inside !== undefined) Reflect.deleteProperty(Deno, inside);
}
