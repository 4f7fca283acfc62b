import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { discoveryConforms } from "./suite.ts";

const SESSION_TIMEOUT_S = 5;

discoveryConforms({
  source: { module: "builtin:discovery/zookeeper", origin: "builtin" },
  name: "zookeeper",
  registry: async () => {
    const server = await ZooKeeper.start();
    const config = { hosts: [server.address], path: "/services", session_timeout: SESSION_TIMEOUT_S };
    return { config, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  },
  elsewhere: (address) => ({ hosts: [address], path: "/services", session_timeout: SESSION_TIMEOUT_S }),
});

discoveryConforms({
  source: { module: "builtin:discovery/file", origin: "builtin" },
  name: "file",
  registry: () => {
    const dir = new TempDir("lighthouse-registry-");
    return Promise.resolve({ config: { path: dir.path }, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() });
  },
});
