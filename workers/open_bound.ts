/**
 * A bound on what a plugin holds open: descriptors are the process's, and one
 * plugin that keeps its connections would leave no other a socket. What is
 * open is what Deno itself counts, so nothing has to be followed to its end.
 *
 * @module
 */

/** Of HTTP clients of its own a plugin may have so many at once: each keeps connections besides. */
const CLIENTS_MAX = 4;
/** A client keeps no more idle connections to one host. */
const IDLE_PER_HOST_MAX = 8;
/** Whether a connection may be made over it: what Deno has besides is not for services, or ends the process. */
const isTransport = (name: unknown) => name === undefined || name === "tcp" || name === "unix";
/** The same for what a client uses as its proxy. */
const isProxyTransport = (name: unknown) =>
  isTransport(name) || name === "http" || name === "https" || name === "socks5";

// What a plugin could change is taken here, before its first line: by a Proxy or a method of its own it would get hold
// of what is wrapped.
const { apply, construct, defineProperty } = Reflect;
const { assign, getOwnPropertyDescriptor, keys, values } = Object;
const OwnProxy = Proxy;
/** Copies options: what is looked at is what is used, and nothing of it is inherited. */
const copyOf = <T extends object>(options: T): T => assign({ __proto__: null }, options) as T;

// deno-lint-ignore no-explicit-any -- functions of Deno and the web are wrapped whatever they take.
type Callable = (...args: any[]) => any;

/** The part of Deno's inside that lists what a realm has open: `3: "tcpStream"`. */
interface Core {
  resources(): Readonly<Record<string, string>>;
}

/** Property descriptors that stand in for those of `Deno` and of the global scope. */
export interface Bounded {
  readonly deno: PropertyDescriptorMap;
  readonly web: PropertyDescriptorMap;
  /** How many connections and files are open; `undefined` where Deno does not say. */
  readonly countOpen: () => number | undefined;
}

/** Finds what lists the open resources of this realm: an internal of Deno, so another version may have none. */
function findResources(): Core["resources"] | undefined {
  const deno = Deno as unknown as { readonly internal?: symbol } & Record<symbol, { readonly core?: Partial<Core> }>;
  const core = deno.internal === undefined ? undefined : deno[deno.internal]?.core;
  return typeof core?.resources === "function" ? core.resources.bind(core) as Core["resources"] : undefined;
}

/**
 * Wraps all that opens something, so that it throws when `openMax` are open or
 * being opened. To be called before the realm is sealed. Where Deno does not
 * list what is open, only what is being opened is bounded here; the host then
 * takes the plugin for one that holds as much as it may when files run out.
 */
export function boundOpen(openMax: number, resources: Core["resources"] | undefined = findResources()): Bounded {
  const { connect, connectTls, createHttpClient, errors, Command } = Deno;
  const then = Function.prototype.call.bind(Promise.prototype.then) as (
    promise: Promise<unknown>,
    done: () => void,
    failed: () => void,
  ) => void;
  const listen = Function.prototype.call.bind(EventTarget.prototype.addEventListener) as (
    target: EventTarget,
    type: string,
    listener: () => unknown,
  ) => void;
  const before = resources === undefined ? 0 : keys(resources()).length;
  const countOpen = () => resources === undefined ? undefined : keys(resources()).length - before;
  let opening = 0;
  const enter = () => {
    if ((countOpen() ?? 0) + opening >= openMax) {
      const message = `Cannot have more than ${openMax} connections and files open at once: close some`;
      // By this code it is known as a fault of this side: it says nothing of a service.
      throw Object.assign(new errors.Busy(message), { code: "ELIMIT" });
    }
    opening++;
  };
  const leave = () => void opening--;
  /** Counts what is being opened until it is there, and counted by Deno. */
  const later = (open: Callable) =>
    async function (this: unknown, ...args: unknown[]): Promise<unknown> {
      enter();
      try {
        return await apply(open, this, args);
      } finally {
        leave();
      }
    };
  const atOnce = (open: Callable) =>
    function (this: unknown, ...args: unknown[]): unknown {
      enter();
      try {
        return apply(open, this, args);
      } finally {
        leave();
      }
    };
  const wrapped: Record<string, Callable> = {
    connect: later((options: Deno.ConnectOptions) => {
      const copy = copyOf(options);
      if (!isTransport(copy.transport)) throw new TypeError("Cannot connect: want the transport tcp or unix");
      return connect(copy);
    }),
    connectTls: later((options) => connectTls(copyOf(options))),
    createHttpClient: atOnce((options: Deno.CreateHttpClientOptions) => {
      const open = values(resources?.() ?? {});
      let clients = 0;
      for (let i = 0; i < open.length; i++) if (open[i] === "httpClient") clients++;
      if (clients >= CLIENTS_MAX) {
        throw new errors.Busy(`Cannot have more than ${CLIENTS_MAX} HTTP clients at once: close some`);
      }
      const copy = copyOf(options);
      if (copy.proxy !== undefined) {
        copy.proxy = copyOf(copy.proxy);
        if (!isProxyTransport(copy.proxy.transport)) throw new TypeError("Cannot use the transport of this proxy");
      }
      const { poolMaxIdlePerHost: idle } = copy;
      copy.poolMaxIdlePerHost = typeof idle === "number" && idle < IDLE_PER_HOST_MAX ? idle : IDLE_PER_HOST_MAX;
      return createHttpClient(copy);
    }),
    open: later(Deno.open),
    openSync: atOnce(Deno.openSync),
    create: later(Deno.create),
    createSync: atOnce(Deno.createSync),
    watchFs: atOnce(Deno.watchFs),
  };
  const stdio = ["stdin", "stdout", "stderr"] as const;
  /** What a program gets of this process: nothing. What it prints goes to its plugin, or nowhere. */
  const apart = (options: Deno.CommandOptions): Deno.CommandOptions => {
    const copy = copyOf(options);
    for (let i = 0; i < stdio.length; i++) {
      const name = stdio[i] as typeof stdio[number];
      if (copy[name] === undefined) delete copy[name];
      else if (copy[name] !== "piped") copy[name] = "null";
    }
    return copy;
  };
  /** What commands were made of, for `spawn()`: it would give them what this process has where nothing is said. */
  const made = new WeakMap<object, { readonly program: string | URL; readonly options: Deno.CommandOptions }>();
  const [recall, remember] = [made.get.bind(made), made.set.bind(made)];
  const nothing: Deno.CommandOptions = { stdin: "null", stdout: "null", stderr: "null" };
  const { spawn } = Command.prototype;
  const OwnCommand = new OwnProxy(Command, {
    construct(target, args, newTarget) {
      const program = args[0];
      const options = apart(args[1] ?? {});
      const command = construct(target, [program, options], newTarget) as Deno.Command;
      remember(command, { program, options });
      return command;
    },
  });
  const spawnApart = atOnce(function (this: Deno.Command): unknown {
    const command = recall(this);
    if (command === undefined) throw new TypeError("Cannot spawn what is no command");
    return apply(spawn, new Command(command.program, assign(copyOf(nothing), command.options)), []);
  });
  const { output, outputSync } = Command.prototype;
  for (const [name, value] of [["spawn", spawnApart], ["output", later(output)], ["outputSync", atOnce(outputSync)]]) {
    defineProperty(Command.prototype, name as string, { value });
  }
  defineProperty(Command.prototype, "constructor", { value: OwnCommand });
  /** A class whose instances open something as they are made, until `ended` says that it is over: once, however often. */
  const counted = <Made extends object>(
    made: new (...args: never[]) => Made,
    ended: (made: Made, leave: () => void) => void,
  ) => {
    const stand = new OwnProxy(made, {
      construct(target, args, newTarget) {
        enter();
        try {
          const instance = construct(target, args, newTarget) as Made;
          let isOver = false;
          ended(instance, () => {
            if (!isOver) leave();
            isOver = true;
          });
          return instance;
        } catch (error) {
          leave();
          throw error;
        }
      },
    });
    defineProperty(made.prototype, "constructor", { value: stand });
    return stand;
  };
  /** Reads a property as the class has it, whatever an instance of a class of the plugin's own says. */
  const getterOf = (made: { readonly prototype: object }, name: string) => {
    const get = getOwnPropertyDescriptor(made.prototype, name)?.get;
    if (get === undefined) throw new Error(`Cannot count web sockets as they have no ${name} in this version of Deno`);
    return (instance: object): unknown => apply(get, instance, []);
  };
  /** A global that Deno makes when it is first used: it costs a worker a megabyte. */
  const lazy = <Made>(name: string, wrap: (made: Made) => unknown): PropertyDescriptor => {
    const own = getOwnPropertyDescriptor(globalThis, name);
    let stand: unknown;
    return {
      get: () => stand ??= wrap((own?.get === undefined ? own?.value : apply(own.get, globalThis, [])) as Made),
    };
  };
  const value = (value: Callable): PropertyDescriptor => ({ value, writable: true, configurable: true });
  return {
    countOpen,
    deno: Object.fromEntries(
      Object.entries({ ...wrapped, Command: OwnCommand }).map(([name, open]) => [
        name,
        { ...value(open as unknown as Callable), enumerable: true },
      ]),
    ),
    web: {
      fetch: value(later(fetch)),
      WebSocket: lazy("WebSocket", (made: typeof WebSocket) => {
        const [readyState, { CLOSED }] = [getterOf(made, "readyState"), made];
        // A plugin can send itself the event as well.
        return counted(
          made,
          (socket, leave) => listen(socket, "close", () => readyState(socket) === CLOSED && leave()),
        );
      }),
      WebSocketStream: lazy("WebSocketStream", (made: typeof WebSocketStream) => {
        const closed = getterOf(made, "closed");
        return counted(made, (stream, leave) => then(closed(stream) as Promise<unknown>, leave, leave));
      }),
    },
  };
}
