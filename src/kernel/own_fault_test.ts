import assert from "node:assert/strict";
import { ownFault } from "./own_fault.ts";

const coded = (code: string, message = code) => Object.assign(new Error(message), { code });

Deno.test.each([
  { what: "no open file", error: coded("EMFILE"), says: /LimitNOFILE/ },
  { what: "no open file on the host", error: coded("ENFILE"), says: /fs\.file-max/ },
  { what: "no local port", error: coded("EADDRNOTAVAIL"), says: /ip_local_port_range/ },
  { what: "no process", error: coded("EAGAIN"), says: /TasksMax/ },
  { what: "no memory", error: coded("ENOMEM"), says: /memory/ },
  { what: "no network buffer", error: coded("ENOBUFS"), says: /buffer/ },
  { what: "a resolver that does not answer", error: coded("EAI_AGAIN"), says: /resolver/ },
  {
    what: "an error number without a code",
    error: new Error("proto error: io error: Too many open files (os error 24)"),
    says: /LimitNOFILE/,
  },
  {
    what: "a resolver, in Deno's words",
    error: new Error("failed to lookup address information: Temporary failure in name resolution"),
    says: /resolver/,
  },
  { what: "the cause of an error", error: new Error("Cannot ask", { cause: coded("EMFILE") }), says: /LimitNOFILE/ },
])("ownFault() names $what", ({ error, says }) => assert.match(ownFault(error) ?? "", says));

Deno.test.each([
  { what: "ECONNREFUSED", error: coded("ECONNREFUSED") },
  { what: "a name that does not exist", error: coded("ENOTFOUND") },
  { what: "a host without a route to it", error: coded("EHOSTUNREACH") },
  { what: "a denial of the sandbox", error: new Deno.errors.NotCapable("Requires net access (os error 1)") },
  { what: "a value that is not an error", error: "EMFILE" },
])("ownFault() leaves $what to the caller", ({ error }) => assert.equal(ownFault(error), undefined));

Deno.test("ownFault() does not throw for an error that throws on every access", () => {
  const trap = new Proxy(new Error(), {
    get() {
      throw new Error("trap");
    },
  });
  assert.equal(ownFault(trap), undefined);
});

Deno.test("ownFault() ends at an error that is its own cause", () => {
  const error = new Error("round");
  error.cause = error;
  assert.equal(ownFault(error), undefined);
});
