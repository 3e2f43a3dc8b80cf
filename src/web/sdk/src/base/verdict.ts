/*
 * What an error of WebCrypto means. Only an answer to the input may count as "this is not valid"; a fault of the platform, such as a missing algorithm, must
 * not make an honest signature or message look forged.
 */

/** The names with which WebCrypto answers to a key, a signature or a ciphertext that is not valid. */
const verdicts: readonly string[] = ["DataError", "OperationError"];

/** The platform has failed behind a library that hides the cause. */
export class PlatformFault extends Error {
  override readonly name = "PlatformFault";
}

/** Whether WebCrypto has rejected the input. Every other error is a fault, and the caller throws it again. */
export const isVerdict = (error: unknown): boolean => error instanceof DOMException && verdicts.includes(error.name);

/** Whether the platform has failed. For code that calls a library, which has its own errors for input that is not valid. */
export const isFault = (error: unknown): boolean => error instanceof PlatformFault || (error instanceof DOMException && !verdicts.includes(error.name));
