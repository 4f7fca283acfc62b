/** Makes a `data:` module of a check plugin from the body of its `probe`, and the code before it. */
export function checkModule(
  probe: string,
  { top = "", permissions = "net: [target]", validate = "({ value })" }: {
    top?: string;
    permissions?: string;
    validate?: string;
  } = {},
): string {
  return dataModule(`${top}
export default {
  kind: "check", apiVersion: 1, name: "made_up", summary: "", stability: "stable",
  config: { "~standard": { version: 1, vendor: "test", validate: (value) => ${validate} } },
  permissions: (config, { target }) => ({ ${permissions} }),
  async probe(config, { target, signal, log }) { ${probe} },
};`);
}

/** Makes a `data:` module of a discovery plugin from the members of the session that its `open` returns. */
export function discoveryModule(
  session: string,
  { top = "", open = "" }: { top?: string; open?: string } = {},
): string {
  return dataModule(`${top}
export default {
  kind: "discovery", apiVersion: 1, name: "made_up", capabilities: ["watch", "register"], summary: "", stability: "stable",
  config: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } },
  permissions: () => ({}),
  async open(config, { signal, log, connection }) {
    ${open}
    return { ended: new Promise(() => {}), async register() {}, async deregister() {}, async deregisterOwn() {},
      async [Symbol.asyncDispose]() {}, ${session} };
  },
};`);
}

/** Wraps JavaScript source as a module that loads without any permission. */
export function dataModule(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
