/* SHA-256 without a thread: the virtual clock of a run must not go on while a hash is computed, or the same seed would not give the same run. */
import { createHash } from "node:crypto";
import { vi } from "vitest";

/** Replaces WebCrypto's SHA-256 until the result is called. */
export function digestAtOnce(): () => void {
  const original = crypto.subtle.digest.bind(crypto.subtle);
  const spy = vi.spyOn(crypto.subtle, "digest").mockImplementation((algorithm, data) =>
    algorithm === "SHA-256"
      ? Promise.resolve(
          new Uint8Array(
            createHash("sha256")
              .update(data as Uint8Array)
              .digest(),
          ).buffer,
        )
      : original(algorithm, data),
  );
  return () => spy.mockRestore();
}
