import { Suspense, useEffect, useRef, useState } from "react";
import { IconButton, Spinner } from "../../components/Button.js";
import { Icon, type IconName } from "../../components/Icon.js";
import { isLost, useArrival } from "../../browser/focus.js";
import { part } from "../../browser/part.js";
import { go, hrefOf, settingsPages, type SettingsPage } from "../../browser/routes.js";
import { useAccounts } from "../../state/context.js";
import { strings } from "../../text/strings.js";
import { SignOut } from "./SignOut.js";

const text = strings.settings;

const icons: Record<SettingsPage, IconName> = {
  profile: "person",
  people: "people",
  devices: "key",
  sessions: "device",
  notifications: "bell",
  privacy: "eyeoff",
  appearance: "sun",
  data: "data",
};

const pages = {
  profile: part(() => import("./Profile.js").then((module) => module.Profile)),
  people: part(() => import("./People.js").then((module) => module.People)),
  devices: part(() => import("./Devices.js").then((module) => module.Devices)),
  sessions: part(() => import("./Sessions.js").then((module) => module.Sessions)),
  notifications: part(() => import("./Notifications.js").then((module) => module.Notifications)),
  privacy: part(() => import("./Privacy.js").then((module) => module.Privacy)),
  appearance: part(() => import("./Appearance.js").then((module) => module.Appearance)),
  data: part(() => import("./ServerData.js").then((module) => module.ServerData)),
};

/** The list of pages and the open one. A narrow screen shows one of the two. */
export function Settings({ page }: { page: SettingsPage | undefined }) {
  const [leaving, setLeaving] = useState(false);
  const accounts = useAccounts();
  const arrival = useArrival();
  const heading = useRef<HTMLHeadingElement>(null);
  const shown = page ?? "profile";
  const Page = pages[shown];

  // On a narrow screen the page replaces the list, so the focus may be lost.
  useEffect(() => {
    if (isLost()) (heading.current?.checkVisibility() ? heading : arrival.ref).current?.focus({ preventScroll: true });
  }, [page, arrival.ref]);

  return (
    <div className={`settings ${page ? "paged" : ""}`}>
      <nav className="settings-nav" aria-label={text.title}>
        <div className="bar">
          <IconButton icon="back" label={strings.common.back} onClick={() => go({ at: "list" })} />
          <h1 className="grow" {...arrival}>
            {text.title}
          </h1>
        </div>
        {settingsPages.map((each) => (
          <a key={each} href={hrefOf({ at: "settings", page: each })} aria-current={each === shown ? "page" : undefined}>
            <Icon name={icons[each]} />
            {text[each]}
          </a>
        ))}
        <button type="button" className="leave other" onClick={() => accounts.choosing.set(true)}>
          <Icon name="people" />
          {text.switchAccount}
        </button>
        <button type="button" className="leave" onClick={() => setLeaving(true)}>
          <Icon name="door" />
          {text.signOut}
        </button>
        <a className="licences muted small" href="/third-party-licences.txt" target="_blank" rel="noreferrer">
          {text.licences}
        </a>
      </nav>
      <section className="page" aria-label={text[shown]}>
        <header className="bar">
          <IconButton icon="back" className="only-narrow" label={strings.common.back} onClick={() => go({ at: "settings" })} />
          <h1 ref={heading} className="grow" tabIndex={-1} data-place="heading">
            {text[shown]}
          </h1>
        </header>
        <div className="page-body" key={shown}>
          <Suspense fallback={<Spinner label={strings.common.loading} />}>
            <Page />
          </Suspense>
        </div>
      </section>
      {leaving && <SignOut onClose={() => setLeaving(false)} />}
    </div>
  );
}
