import { createContext, useContext } from "react";
import type { SharedClient, SharedStatus } from "../sdk.js";
import type { Accounts } from "./accounts.js";
import type { AppState } from "./app.js";
import { useCell } from "./cell.js";

const Context = createContext<AppState | undefined>(undefined);
const AccountsContext = createContext<Accounts | undefined>(undefined);

export const AppProvider = Context.Provider;

export const AccountsProvider = AccountsContext.Provider;

/** The accounts of this browser. */
export function useAccounts(): Accounts {
  const accounts = useContext(AccountsContext);
  if (!accounts)
    throw new Error("There are no accounts around this component.");
  return accounts;
}

/** What the screens share. */
export function useApp(): AppState {
  const app = useContext(Context);
  if (!app)
    throw new Error("There is no app around this component.");
  return app;
}

export const useClient = (): SharedClient => useApp().client;

export const useStatus = (): SharedStatus => useCell(useApp().status);

/** Runs something that may fail; what goes wrong is said at the edge of the screen. */
export function useAttempt(): (work: () => Promise<unknown>) => void {
  const { toasts } = useApp();
  return (work) => void work().catch(toasts.fail);
}
