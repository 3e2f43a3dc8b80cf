import { reasonOf, SecureMessagingError, toBody } from "../base/errors.js";
import type { Http, ServerAddress } from "../net/http.js";
import type { Session } from "../net/session.js";
import type { PrivacySettings } from "./privacy.js";
import { keys, pack, read, type Changes, type Store } from "../store/store.js";
import type { TokenResponse } from "../net/wire.js";

/** The account and the server to sign in to. */
export interface SignInOptions extends ServerAddress {
  /** The username: 3 to 32 characters of `a-z 0-9 . _ -`. At sign-in, the e-mail address is accepted too. */
  username: string;
  /** The password, at least 10 characters. */
  password: string;
  /** Where the client keeps its state. By default in memory: then it is lost when the process ends. */
  store?: Store;
  /** Privacy settings that differ from the present ones. `SecureMessaging.privacy` changes them later. */
  privacy?: Partial<PrivacySettings>;
}

/** The new account, and the server to sign up at. */
export interface SignUpOptions extends SignInOptions {
  /** The e-mail address. The server stores it encrypted and shows it to no other account. */
  email: string;
}

/** Begins a session. @internal */
export function signIn({ username, password }: SignInOptions, http: Http): Promise<TokenResponse> {
  return http.call<TokenResponse>("POST", "v1/auth/token", { username, password });
}

/** Signs up. When the name is taken, an earlier attempt without an answer may have taken it: then it signs in with the password. @internal */
export async function signUp(options: SignUpOptions, store: Store, http: Http): Promise<TokenResponse> {
  const { username, email, password } = options;
  const unanswered = (await read<string>(store, keys.signUp)) === username.toLowerCase();
  await store.write(new Map([[keys.signUp, pack(username.toLowerCase())]]));
  try {
    return await http.call<TokenResponse>("POST", "v1/auth/sign-up", { username, email, password });
  } catch (error) {
    if (!(error instanceof SecureMessagingError) || error.retryable) throw error;
    const taken = error;
    const tokens =
      unanswered && taken.code === "Conflict"
        ? await signIn(options, http).catch((refused: unknown) => {
            if (refused instanceof SecureMessagingError && refused.code === "Unauthenticated") return undefined;
            throw refused;
          })
        : undefined;
    if (tokens) return tokens;
    await store.write(new Map([[keys.signUp, null]]));
    throw taken;
  }
}

/**
 * Undoes a sign-up or sign-in that failed later: deletes the account, or ends the session. Returns the error to throw.
 * @param password - The password of the account to delete; undefined to end only the session.
 * @param store - The store to clear; undefined when it held the account before.
 * @param session - The session to end in a store that held the account before.
 * @internal
 */
export async function takeBack(
  error: unknown,
  tokens: TokenResponse,
  http: Http,
  password: string | undefined,
  store: Store | undefined,
  session: Session | undefined,
): Promise<unknown> {
  const begun =
    error instanceof SecureMessagingError ? error : SecureMessagingError.of("StoreFailed", `The store on this device failed: ${reasonOf(error)}.`, error);
  try {
    if (password !== undefined) await http.call("POST", "v1/me/delete", { password }, tokens.accessToken);
    else await http.call("POST", "v1/auth/logout", { refreshToken: tokens.refreshToken }, tokens.accessToken);
    if (store) {
      const gone: Changes = new Map([
        ["owner", null],
        [keys.session, null],
        [keys.stock, null],
      ]);
      for (const prefix of [keys.device, keys.keyPackages, keys.pins, keys.pinnedNames, keys.deviceLists, keys.allTrustLines])
        for (const [key] of await store.list(prefix)) gone.set(key, null);
      await store.write(gone);
    } else {
      await session?.end();
    }
    return begun;
  } catch (left) {
    const what = password !== undefined ? "The account exists. Continue with SecureMessaging.resume, or sign in." : "The session was not ended on the server.";
    return new SecureMessagingError({ ...toBody(begun), message: `${begun.message} ${what} (${reasonOf(left)})` }, error);
  }
}
