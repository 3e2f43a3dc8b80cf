import { go } from "../browser/routes.js";
import { useCell } from "../base/cell.js";
import { useApp } from "../state/context.js";
import type { DeviceNews } from "../state/ownDevices.js";
import { strings } from "../text/strings.js";
import { Button, Note } from "./Button.js";

const text = strings.deviceNews;

function words({ kind, devices, by }: DeviceNews): string {
  if (kind === "identity") return text.identity;
  const names = devices;
  const count = Math.max(1, names.length);
  return kind === "added" ? text.added(count, names, by) : text[kind](count, names);
}

/** Changes of this user's devices that another device has made. It stays until the user has answered. */
export function DeviceNotice() {
  const { ownDevices } = useApp();
  const news = useCell(ownDevices.news);
  if (news.length === 0) return null;
  return (
    <div className="device-notice" role="alert">
      <Note tone="warn" icon="key">
        {news.map((each) => (
          <p key={`${each.at} ${each.kind}`}>{words(each)}</p>
        ))}
        <div className="line wrap banner-actions">
          <Button
            look="soft"
            compact
            onClick={() => {
              ownDevices.acknowledge();
              go({ at: "settings", page: "devices" });
            }}
          >
            {text.look}
          </Button>
          <Button look="bare" compact onClick={() => ownDevices.acknowledge()}>
            {text.seen}
          </Button>
        </div>
      </Note>
    </div>
  );
}
