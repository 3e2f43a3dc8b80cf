import { reasonOf, SecureMessagingError, toBody } from "../errors.js";
import type { Http, ServerAddress } from "../net/http.js";
import type { Session } from "../net/session.js";
import type { PrivacySettings } from "../privacy.js";
import { keys, pack, read, type Changes, type Store } from "../store/store.js";
import type { TokenResponse } from "../wire.js";

/** Who and where. */
export interface SignInOptions extends ServerAddress {
  /** 3 to 32 of `a-z 0-9 . _ -`; at sign-in also the e-mail address. */
  username: string;
  /** 10 characters at least. */
  password: string;
  /** Where the client keeps what must outlive it; memory by default, and then everything is gone with the process. */
  store?: Store;
  /** What this device tells others beside messages: receipts and typing. Kept in the store; `SecureMessaging.privacy` changes it. */
  privacy?: Partial<PrivacySettings>;
}

/** For a new account. */
export interface SignUpOptions extends SignInOptions {
  /** Kept encrypted, and shown to no other account. */
  email: string;
}

/** Begins a session of an account. @internal */
export function signIn({ username, password }: SignInOptions, http: Http): Promise<TokenResponse> {
  return http.call<TokenResponse>("POST", "v1/auth/token", { username, password });
}

/** Signs up. When an earlier attempt from this store got no answer, the name may be taken by that very attempt: then the password tells. @internal */
export async function signUp(options: SignUpOptions, store: Store, http: Http): Promise<TokenResponse> {
  const { username, email, password } = options;
  const unanswered = await read<string>(store, keys.signUp) === username.toLowerCase();
  await store.write(new Map([[keys.signUp, pack(username.toLowerCase())]]));
  try {
    return await http.call<TokenResponse>("POST", "v1/auth/sign-up", { username, email, password });
  } catch (error) {
    if (!(error instanceof SecureMessagingError) || error.retryable)
      throw error;
    const taken = error;
    const tokens = unanswered && taken.code === "Conflict" ? await signIn(options, http).catch((refused: unknown) => {
      if (refused instanceof SecureMessagingError && refused.code === "Unauthenticated")
        return undefined;
      throw refused;
    }) : undefined;
    if (tokens)
      return tokens;
    await store.write(new Map([[keys.signUp, null]]));
    throw taken;
  }
}

/**
 * Takes back what a sign-up or sign-in has done before it failed: the account, or the session. Returns the error to throw.
 * @param password Of the account that is to go.
 * @param store Where nothing of the account was before.
 * @param session What a store that knew the account has of it now.
 * @internal
 */
export async function takeBack(error: unknown, tokens: TokenResponse, http: Http, password: string | undefined, store: Store | undefined, session: Session | undefined): Promise<unknown> {
  const begun = error instanceof SecureMessagingError ? error : SecureMessagingError.of("StoreFailed", `The store on this device failed: ${reasonOf(error)}.`, error);
  try {
    if (password !== undefined)
      await http.call("POST", "v1/me/delete", { password }, tokens.accessToken);
    else
      await http.call("POST", "v1/auth/logout", { refreshToken: tokens.refreshToken }, tokens.accessToken);
    if (store) {
      const gone: Changes = new Map([["owner", null], [keys.session, null], [keys.stock, null]]);
      for (const prefix of [keys.device, keys.keyPackages])
        for (const [key] of await store.list(prefix))
          gone.set(key, null);
      await store.write(gone);
    } else {
      await session?.end();
    }
    return begun;
  } catch (left) {
    const what = password !== undefined ? "The account is there; it goes on after SecureMessaging.resume, or after signing in." : "The session was not ended on the server.";
    return new SecureMessagingError({ ...toBody(begun), message: `${begun.message} ${what} (${reasonOf(left)})` }, error);
  }
}
