/** The error code of the SDK. Any other error is a defect of the app: `Internal`. */
export function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "Internal";
}
