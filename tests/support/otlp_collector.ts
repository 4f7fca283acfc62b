/** A span as a collector gets it. */
export interface Span {
  readonly name: string;
  /** Seconds from its start to its end. */
  readonly seconds: number;
  readonly attributes: Readonly<Record<string, string>>;
  /** 2 is an error. */
  readonly status: number | undefined;
  /** What made it. */
  readonly scope: string;
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}

interface Traces {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly {
        readonly name: string;
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
        readonly attributes: readonly Attribute[];
        readonly status?: { readonly code?: number };
      }[];
    }[];
  }[];
}

/** Takes what OpenTelemetry's exporters send over OTLP/HTTP as JSON: opentelemetry.io/docs/specs/otlp. */
export class OtlpCollector implements AsyncDisposable {
  readonly spans: Span[] = [];
  /** Everything that came, as it came. */
  received = "";
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      const body = await request.text();
      this.received += body;
      if (new URL(request.url).pathname === "/v1/traces") this.#take(JSON.parse(body));
      return Response.json({});
    });
  }

  /** What starts a program whose runtime exports to it. */
  get within(): readonly string[] {
    const { port } = this.#server.addr;
    return [
      "env",
      "OTEL_DENO=true",
      "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
      `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${port}`,
      "OTEL_BSP_SCHEDULE_DELAY=200",
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  #take({ resourceSpans }: Traces): void {
    for (const { scope, spans } of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans)) {
      for (const { name, startTimeUnixNano, endTimeUnixNano, attributes, status } of spans) {
        this.spans.push({
          name,
          seconds: Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e9,
          attributes: Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? ""])),
          status: status?.code,
          scope: scope.name,
        });
      }
    }
  }
}
