import { createContext, useContext } from "react";
import type { SharedClient, SharedStatus } from "../base/sdk.js";
import type { Accounts } from "./accounts.js";
import type { AppState } from "./app.js";
import { useCell } from "../base/cell.js";

const Context = createContext<AppState | undefined>(undefined);
const AccountsContext = createContext<Accounts | undefined>(undefined);

export const AppProvider = Context.Provider;

export const AccountsProvider = AccountsContext.Provider;

/** The accounts of this browser. */
export function useAccounts(): Accounts {
  const accounts = useContext(AccountsContext);
  if (!accounts) throw new Error("AccountsProvider is missing.");
  return accounts;
}

/** The state that all screens share. */
export function useApp(): AppState {
  const app = useContext(Context);
  if (!app) throw new Error("AppProvider is missing.");
  return app;
}

export const useClient = (): SharedClient => useApp().client;

export const useStatus = (): SharedStatus => useCell(useApp().status);

/** Runs an action. A failure appears as a notice. */
export function useAttempt(): (work: () => Promise<unknown>) => void {
  const { toasts } = useApp();
  return (work) => void work().catch(toasts.fail);
}
