/**
 * A bound on what a plugin holds open: file descriptors belong to the process, and one
 * plugin that keeps its connections would leave no sockets to others. Open
 * resources are those that Deno itself counts, so nothing has to be tracked.
 *
 * @module
 */

/** Maximum number of HTTP clients of a plugin: each keeps connections besides. */
const CLIENTS_MAX = 4;
/** Maximum number of idle connections of a client to one host. */
const IDLE_PER_HOST_MAX = 8;
/** Whether a connection may use this transport: Deno's others are not for services, or end the process. */
const isTransport = (name: unknown) => name === undefined || name === "tcp" || name === "unix";
/** The same for a client's proxy. */
const isProxyTransport = (name: unknown) =>
  isTransport(name) || name === "http" || name === "https" || name === "socks5";

// Everything that a plugin could change is captured before its first line: through a Proxy or a replaced method it
// would get hold of what is wrapped.
const { apply, construct, defineProperty } = Reflect;
const { assign, getOwnPropertyDescriptor, keys, values } = Object;
const OwnProxy = Proxy;
/** Copies options, so that the checked values are those used, and nothing is inherited. */
const copyOf = <T extends object>(options: T): T => assign({ __proto__: null }, options) as T;

// deno-lint-ignore no-explicit-any -- functions of Deno and the web are wrapped with any arguments.
type Callable = (...args: any[]) => any;

/** Deno's internal list of a realm's open resources: `3: "tcpStream"`. */
interface Core {
  resources(): Readonly<Record<string, string>>;
}

/** Property descriptors that replace those of `Deno` and of the global scope. */
export interface Bounded {
  readonly deno: PropertyDescriptorMap;
  readonly web: PropertyDescriptorMap;
  /** Number of open connections and files; `undefined` if Deno does not report it. */
  readonly countOpen: () => number | undefined;
}

/** Finds the list of this realm's open resources: an internal of Deno that other versions may lack. */
function findResources(): Core["resources"] | undefined {
  const deno = Deno as unknown as { readonly internal?: symbol } & Record<symbol, { readonly core?: Partial<Core> }>;
  const core = deno.internal === undefined ? undefined : deno[deno.internal]?.core;
  return typeof core?.resources === "function" ? core.resources.bind(core) as Core["resources"] : undefined;
}

/**
 * Wraps everything that opens a resource, so that it throws when `openMax` are open or being opened.
 * Call it before the realm is sealed. If Deno does not list open resources, only those being opened
 * are bounded here; the host then counts the plugin with its maximum when files run out.
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
      const message = `Cannot open more than ${openMax} connections and files at once; close some`;
      // The error code marks it as a local shortage: it says nothing about a service.
      throw Object.assign(new errors.Busy(message), { code: "ELIMIT" });
    }
    opening++;
  };
  const leave = () => void opening--;
  /** Counts a resource while it is being opened, until Deno counts it. */
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
      if (!isTransport(copy.transport)) throw new TypeError("Cannot connect: transport must be tcp or unix");
      return connect(copy);
    }),
    connectTls: later((options) => connectTls(copyOf(options))),
    createHttpClient: atOnce((options: Deno.CreateHttpClientOptions) => {
      const open = values(resources?.() ?? {});
      let clients = 0;
      for (let i = 0; i < open.length; i++) if (open[i] === "httpClient") clients++;
      if (clients >= CLIENTS_MAX) {
        throw new errors.Busy(`Cannot create more than ${CLIENTS_MAX} HTTP clients at once; close some`);
      }
      const copy = copyOf(options);
      if (copy.proxy !== undefined) {
        copy.proxy = copyOf(copy.proxy);
        if (!isProxyTransport(copy.proxy.transport)) {
          throw new TypeError("Cannot use this proxy: unsupported transport");
        }
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
  /** The process as a program sees it: nothing. Its output goes to its plugin, or nowhere. */
  const apart = (options: Deno.CommandOptions): Deno.CommandOptions => {
    const copy = copyOf(options);
    for (let i = 0; i < stdio.length; i++) {
      const name = stdio[i] as typeof stdio[number];
      if (copy[name] === undefined) delete copy[name];
      else if (copy[name] !== "piped") copy[name] = "null";
    }
    return copy;
  };
  /** Options of commands, for `spawn()`, which would otherwise inherit from this process. */
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
    if (command === undefined) throw new TypeError("Cannot spawn: not a Deno.Command");
    return apply(spawn, new Command(command.program, assign(copyOf(nothing), command.options)), []);
  });
  const { output, outputSync } = Command.prototype;
  for (const [name, value] of [["spawn", spawnApart], ["output", later(output)], ["outputSync", atOnce(outputSync)]]) {
    defineProperty(Command.prototype, name as string, { value });
  }
  defineProperty(Command.prototype, "constructor", { value: OwnCommand });
  /** A class whose instances open a resource on construction, until `ended` is called: once, however often. */
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
  /** Reads a property of the original class, whatever a subclass of the plugin overrides. */
  const getterOf = (made: { readonly prototype: object }, name: string) => {
    const get = getOwnPropertyDescriptor(made.prototype, name)?.get;
    if (get === undefined) throw new Error(`Cannot count WebSockets: this version of Deno has no ${name}`);
    return (instance: object): unknown => apply(get, instance, []);
  };
  /** A global that Deno creates on first use: it costs a worker a megabyte. */
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
        // A plugin can also dispatch the event to itself.
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
