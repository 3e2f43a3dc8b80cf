import { Suspense, useEffect } from "react";
import { DeviceNotice } from "./components/DeviceNotice.js";
import { Guard } from "./components/Guard.js";
import { Empty } from "./components/Empty.js";
import { Spinner } from "./components/Button.js";
import { Toasts } from "./components/Toasts.js";
import { part } from "./browser/part.js";
import { usePersistence } from "./browser/persist.js";
import { go, useRoute, type Route } from "./browser/routes.js";
import { Gate } from "./screens/account/Gate.js";
import { useCell } from "./base/cell.js";
import { useAccounts, useApp, useStatus } from "./state/context.js";
import { strings } from "./text/strings.js";
import { useNoFiles } from "./components/useNoFiles.js";
import { nameOf } from "./text/safe.js";
import { update } from "./browser/worker.js";

const Chat = part(() => import("./screens/chat/Chat.js").then((module) => module.Chat));
const Sidebar = part(() => import("./screens/list/Sidebar.js").then((module) => module.Sidebar));
const Waiting = part(() => import("./screens/account/Waiting.js").then((module) => module.Waiting));
const NewConversation = part(() => import("./screens/start/NewConversation.js").then((module) => module.NewConversation));
const RoomDetails = part(() => import("./screens/room/RoomDetails.js").then((module) => module.RoomDetails));
const Settings = part(() => import("./screens/settings/Settings.js").then((module) => module.Settings));

export function App() {
  const { state } = useStatus();
  const choosing = useCell(useAccounts().choosing);
  useNotices();
  useNoFiles();
  return (
    <>
      <Suspense fallback={<Loading />}>{state === "signedOut" || choosing ? <Gate /> : state === "waiting" ? <Waiting /> : <Main />}</Suspense>
      {state === "ready" && !choosing && <DeviceNotice />}
      <Toasts />
    </>
  );
}

/** The list of conversations, and beside it what is open. A narrow screen shows one of the two. */
function Main() {
  const route = useRoute();
  const app = useApp();
  const { username = "" } = useStatus();
  const conversations = useCell(app.conversations);
  const roomId = route.at === "room" ? route.roomId : undefined;
  const room = conversations?.find(({ id }) => id === roomId);
  const unread = conversations?.filter((each) => each.unread > 0).length ?? 0;
  const place = room ? nameOf(room.title) : undefined;
  usePersistence(conversations !== undefined && conversations.length > 0);

  useEffect(() => {
    document.title = strings.title(unread, place);
    (unread > 0 ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.())?.catch((error: unknown) =>
      console.warn("The badge of the app's icon could not be set:", error),
    );
  }, [unread, place]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open], [role=menu]")) up(route);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [route]);

  return (
    <div className={`app at-${route.at} ${route.at === "room" && route.details ? "with-details" : ""}`}>
      <Sidebar current={roomId} />
      <main className="stage">
        <Guard key={route.at}>
          <Suspense fallback={<Loading />}>
            {route.at === "settings" ? (
              <Settings page={route.page} />
            ) : route.at === "new" ? (
              <NewConversation group={route.group} />
            ) : room ? (
              <Guard key={room.id}>
                <Chat conversation={room} />
              </Guard>
            ) : route.at === "room" && conversations === undefined ? (
              <Loading />
            ) : route.at === "room" ? (
              <Empty icon="chat" title={strings.chat.gone} text={strings.chat.goneText} />
            ) : conversations?.length === 0 ? (
              <Empty icon="lock" title={strings.list.welcome(username)} text={strings.list.welcomeText} />
            ) : (
              <Empty icon="chat" title={strings.list.pick} text={strings.list.pickText} />
            )}
          </Suspense>
        </Guard>
      </main>
      {room && route.at === "room" && route.details && (
        <aside className="details" aria-label={strings.room.title}>
          <Guard key={room.id}>
            <Suspense fallback={<Loading />}>
              <RoomDetails conversation={room} />
            </Suspense>
          </Guard>
        </aside>
      )}
    </div>
  );
}

/** Esc goes one level up. */
function up(route: Route): void {
  if (route.at === "room" && route.details) go({ at: "room", roomId: route.roomId, details: false });
  else if (route.at === "settings" && route.page && matchMedia("(max-width: 760px)").matches) go({ at: "settings" });
  else if (route.at === "new" || route.at === "settings" || matchMedia("(max-width: 760px)").matches) go({ at: "list" });
}

/** Notices that appear on each screen. */
function useNotices(): void {
  const { toasts, changedPeople } = useApp();
  const newer = useCell(update);
  const changed = useCell(changedPeople);
  const last = changed.at(-1);
  useEffect(() => {
    if (newer) toasts.show(strings.boot.update, { stay: true, action: { label: strings.boot.reload, run: newer } });
  }, [toasts, newer]);
  useEffect(() => {
    if (last !== undefined) toasts.show(strings.problems.changedToast(last), { tone: "bad" });
  }, [toasts, last]);
}

const Loading = () => (
  <div className="centre">
    <Spinner label={strings.common.loading} />
  </div>
);
