import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import type { BalancerSources, Seen, Wanted } from "../plugin/contract.ts";
import { UndecidedError } from "../plugin/decider.ts";
import { OperatorLog } from "./operator_log.ts";
import { survey, type SurveyOptions } from "./survey.ts";

/** A wish is the place of its balancer; what is observed is the same with an exclamation mark. */
type Options = SurveyOptions<string, string, string>;

const NEVER = new AbortController().signal;

function wish(config: string): Wanted<string, string> {
  return { config, host: { fqdn: "a.test", ip: "10.0.0.1" }, clusters: [] };
}

function sourcesOf(place: string): BalancerSources {
  return {
    kind: "process",
    contact: { by: "http", socket: `/run/${place}.sock`, queries: [] },
    file: `/etc/${place}.cfg`,
    program: "haproxy",
    reloadIntervalMs: 0,
    reloadJitterMs: 70,
  };
}

function begin(change: Partial<Options> = {}) {
  const log = new RecordingLogger();
  const met: string[] = [];
  const options: Options = {
    balancer: { sources: sourcesOf, observe: (_, config) => `${config}!` },
    serving: {
      look: ({ file }) => Promise.resolve({ files: new Map([[file, "text"]]) }),
      meet: (_: Seen, { file }) => Promise.resolve(void met.push(file)),
    },
    version: { fillIn: (wanted) => Promise.resolve({ ...wanted, version: [2, 6, 12] }) },
    planner: { aim: (wanted) => Promise.resolve({ wanted, held: false }) },
    told: new OperatorLog("haproxy", log),
    signal: NEVER,
    ...change,
  };
  return { log, met, options };
}

Deno.test("survey finds what there is, and what is wanted of it", async () => {
  const { options, met } = begin();
  const wanted = { ...wish("web"), version: [2, 6, 12] };
  assert.deepEqual(await survey(wish("web"), options), {
    sources: sourcesOf("web"),
    seen: { files: new Map([["/etc/web.cfg", "text"]]) },
    observed: "web!",
    wanted,
    target: { wanted, held: false },
    reloadJitterMs: 70,
  });
  assert.deepEqual(met, ["/etc/web.cfg"]);
});

Deno.test("survey looks where the balancer was accepted, if it was refused to go", async () => {
  const { options, met } = begin({ planner: { aim: () => Promise.resolve({ wanted: wish("old"), held: false }) } });
  const view = await survey(wish("new"), options);
  assert.deepEqual([view?.sources, view?.observed, view?.wanted.config], [sourcesOf("old"), "old!", "new"]);
  assert.deepEqual(met, ["/etc/new.cfg", "/etc/old.cfg"]);
});

Deno.test("survey tells why the balancer cannot be observed, and takes note of nobody", async () => {
  for (
    const [error, told] of [
      [new Error("these are no answers"), "error Cannot observe haproxy: these are no answers"],
      [new UndecidedError("The plugin x does not answer"), "error The plugin x does not answer"],
    ] as const
  ) {
    const { options, met, log } = begin();
    const observe = () => {
      throw error;
    };
    assert.equal(await survey(wish("web"), { ...options, balancer: { ...options.balancer, observe } }), undefined);
    assert.deepEqual([log.take(), met], [[told], []]);
  }
});

Deno.test("survey finds nothing as long as the version is to be asked again", async () => {
  const { options, log } = begin({ version: { fillIn: () => Promise.resolve(undefined) } });
  assert.equal(await survey(wish("web"), options), undefined);
  assert.deepEqual(log.take(), []);
});

Deno.test("survey throws when it is broken off, and tells nobody", async () => {
  const signal = AbortSignal.abort(new Error("the end"));
  const look = () => Promise.reject(new Error("it was ended"));
  const { options, log } = begin({ signal, serving: { look, meet: () => Promise.resolve() } });
  await assert.rejects(survey(wish("web"), options), /the end/);
  assert.deepEqual(log.take(), []);
});
