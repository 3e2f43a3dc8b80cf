// The page in the browser, see browser.mjs.
import { IndexedDbStore, SecureMessaging } from "../../../src/web/sdk/dist/index.js";

const tell = (value) => fetch("/", { method: "POST", body: JSON.stringify(value) });
addEventListener("unhandledrejection", (event) => void tell({ error: String(event.reason?.stack ?? event.reason) }));
try {
  const store = await IndexedDbStore.open();
  const resumed = await SecureMessaging.resume({ store });
  const client =
    resumed ??
    (await SecureMessaging.signUp({
      url: new URLSearchParams(location.search).get("server"),
      username: "ben",
      email: "ben@example.org",
      password: "a long enough password",
      store,
    }));
  const follow = async (room) => {
    for await (const message of room.messages()) {
      if (message.mine) continue;
      await (
        await room.send(`received: ${message.content.text}`)
      ).stored;
      await tell({ got: message.content.text });
    }
  };
  client.on("room", (room) => void follow(room));
  await tell({ device: client.devices.currentId, resumed: resumed !== undefined });
  client.rooms.list().forEach((room) => void follow(room));
} catch (error) {
  await tell({ error: `${error.name} ${error.code ?? ""} ${error.message} ${error.stack}` });
}
