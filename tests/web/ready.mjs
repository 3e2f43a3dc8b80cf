/**
 * The bound for the start of a server process, in all suites. It is for processes that hang: on a machine that runs several suites, a healthy start can take a
 * minute.
 */
export const startPatienceMs = 180_000;

/**
 * Waits until a GET of the address succeeds.
 * @param {string} url answers when the server is ready
 * @param {() => boolean} hasEnded whether the process has ended
 * @param {() => string} output what the process has printed, for the error
 */
export async function untilReady(url, hasEnded, output) {
  const began = Date.now();
  let [attempts, last] = [0, "no attempt"];
  while (Date.now() - began < startPatienceMs && !hasEnded()) {
    attempts++;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
      if (response.ok) return;
      last = `${response.status}: ${await response.text()}`;
    } catch (error) {
      // Not listening yet, or too busy to answer.
      last = String(error.cause?.message ?? error);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const seconds = Math.round((Date.now() - began) / 1000);
  const what = hasEnded() ? "The server ended" : "The server did not answer";
  throw new Error(`${what}: ${url}, after ${seconds} s and ${attempts} attempts, the last one: ${last}. Printed:\n${output().slice(-4000)}`);
}
