import { formatEntry, type Imported, summary } from "../import/report.ts";
import { ImportError, readDocument, readServiceFiles } from "../import/read_input.ts";
import { writeDirectory } from "../import/write_directory.ts";

/** What is imported, and where it goes. */
export type ImportRequest =
  & (
    /** `input`: the file or the directory of the other tool; `words`: its command line. */
    | { readonly kind: "nerve" | "synapse"; readonly input: string }
    | { readonly kind: "confd"; readonly input: string; readonly words: readonly string[] }
    | { readonly kind: "aurproxy"; readonly words: readonly string[]; readonly balancer: "nginx" | "haproxy" }
  )
  & {
    /** The directory to write; without it, only the report is made. */
    readonly out?: string | undefined;
  };

/** Converts the config of another tool, and prints what became of each key; answers the exit code. */
export async function runImport(
  request: ImportRequest,
  { print, complain }: { readonly print: (line: string) => void; readonly complain: (line: string) => void },
): Promise<0 | 1> {
  try {
    const { files, report } = await convert(request);
    if (request.out !== undefined) await writeDirectory(request.out, files);
    for (const entry of report) print(formatEntry(entry));
    print(summary(report));
    const count = `${files.size} ${files.size === 1 ? "file" : "files"}`;
    print(
      request.out === undefined
        ? `${count} not written; add --out DIR to write them`
        : `${count} written; next: lighthouse check ${request.out}`,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    complain(error.message);
    return 1;
  }
}

async function convert(request: ImportRequest): Promise<Imported> {
  switch (request.kind) {
    case "nerve": {
      const { document } = await readDocument(request.input);
      const { services } = await readServiceFiles(document);
      return (await import("../import/nerve.ts")).importNerve(document, services);
    }
    case "synapse": {
      const { document, tags } = await readDocument(request.input, { erb: true });
      const { services, tags: others } = await readServiceFiles(document, { erb: true });
      const erb = new Map([...tags.length > 0 ? [[document.file, tags] as const] : [], ...others]);
      return (await import("../import/synapse.ts")).importSynapse(document, services, erb);
    }
    case "aurproxy": {
      const { readAurproxy } = await import("../import/read_aurproxy.ts");
      const read = await readAurproxy(request.words, request.balancer);
      return (await import("../import/aurproxy.ts")).importAurproxy(read);
    }
    case "confd": {
      const { readConfd } = await import("../import/read_confd.ts");
      return (await import("../import/confd.ts")).importConfd(await readConfd(request.input, request.words));
    }
  }
}
