/*
 * The program of a dedicated worker: keys, MLS, store and connection of one tab, away from the thread that draws the page. An application gives it to
 * `openSharedClient` as the option `worker`.
 */
import { WorkerHost } from "./workerHost.js";

WorkerHost.serve(globalThis);
