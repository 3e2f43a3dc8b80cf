import { lazy, Suspense, useState } from "react";
import { IconButton, Spinner } from "../../components/Button.js";
import { Icon, type IconName } from "../../components/Icon.js";
import { go, hrefOf, settingsPages, type SettingsPage } from "../../routes.js";
import { useAccounts } from "../../state/context.js";
import { strings } from "../../strings.js";
import { SignOut } from "./SignOut.js";

const text = strings.settings;

const icons: Record<SettingsPage, IconName> = { profile: "person", devices: "key", sessions: "device", notifications: "bell", privacy: "eyeoff", appearance: "sun", data: "data" };

const pages = {
  profile: lazy(() => import("./Profile.js").then((module) => ({ default: module.Profile }))),
  devices: lazy(() => import("./Devices.js").then((module) => ({ default: module.Devices }))),
  sessions: lazy(() => import("./Sessions.js").then((module) => ({ default: module.Sessions }))),
  notifications: lazy(() => import("./Notifications.js").then((module) => ({ default: module.Notifications }))),
  privacy: lazy(() => import("./Privacy.js").then((module) => ({ default: module.Privacy }))),
  appearance: lazy(() => import("./Appearance.js").then((module) => ({ default: module.Appearance }))),
  data: lazy(() => import("./ServerData.js").then((module) => ({ default: module.ServerData }))),
};

/** A list of pages, and the one that is open; on a narrow screen one of the two. */
export function Settings({ page }: { page: SettingsPage | undefined }) {
  const [leaving, setLeaving] = useState(false);
  const accounts = useAccounts();
  const shown = page ?? "profile";
  const Page = pages[shown];
  return (
    <div className={`settings ${page ? "paged" : ""}`}>
      <nav className="settings-nav" aria-label={text.title}>
        <div className="bar">
          <IconButton icon="back" label={strings.common.back} onClick={() => go({ at: "list" })} />
          <h1 className="grow">{text.title}</h1>
        </div>
        {settingsPages.map((each) => (
          <a key={each} href={hrefOf({ at: "settings", page: each })} aria-current={each === shown ? "page" : undefined}><Icon name={icons[each]} />{text[each]}</a>
        ))}
        <button type="button" className="leave other" onClick={() => accounts.choosing.set(true)}><Icon name="people" />{text.switchAccount}</button>
        <button type="button" className="leave" onClick={() => setLeaving(true)}><Icon name="door" />{text.signOut}</button>
      </nav>
      <section className="page" aria-label={text[shown]}>
        <header className="bar">
          <IconButton icon="back" className="only-narrow" label={strings.common.back} onClick={() => go({ at: "settings" })} />
          <h1 className="grow">{text[shown]}</h1>
        </header>
        <div className="page-body" key={shown}>
          <Suspense fallback={<Spinner label={strings.common.loading} />}><Page /></Suspense>
        </div>
      </section>
      {leaving && <SignOut onClose={() => setLeaving(false)} />}
    </div>
  );
}
