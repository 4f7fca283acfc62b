import { Traffic } from "../demo/traffic.ts";

/** How many requests are sent before and after what is done under load. */
const REQUESTS_AROUND = 100;

/** How long those may take. */
const DEADLINE_MS = 60_000;

/** Sends requests while something is done; returns the results as lines. */
export async function loadWhile(
  target: { readonly hostname: string; readonly port: number; readonly path: string },
  job: () => Promise<unknown>,
): Promise<readonly string[]> {
  await using traffic = new Traffic({ ...target, clients: 4, pauseMs: 5 });
  await moreRequests(traffic);
  await job();
  await moreRequests(traffic);
  await traffic[Symbol.asyncDispose]();
  const { sent, failed, reasons, answers } = traffic.count;
  return [
    `requests sent ${sent}, failed ${failed}${failed > 0 ? `: ${reasons.join("; ")}` : ""}`,
    ...[...answers].toSorted().map(([from, count]) => `  served by ${from}: ${count}`),
  ];
}

async function moreRequests(traffic: Traffic): Promise<void> {
  const wanted = traffic.count.sent + REQUESTS_AROUND;
  const end = performance.now() + DEADLINE_MS;
  while (traffic.count.sent < wanted && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
