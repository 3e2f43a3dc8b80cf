import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

/** A connection that is yet to be started. It never reconnects, so that what is seen is one connection's log. */
export function build({ url, token, messagePack }) {
  const builder = new HubConnectionBuilder()
    .withUrl(url, {
      skipNegotiation: true,
      transport: HttpTransportType.WebSockets,
      ...(token && { accessTokenFactory: () => token }),
    })
    .configureLogging(LogLevel.Error);
  if (messagePack) builder.withHubProtocol(new MessagePackHubProtocol());
  return builder.build();
}

/** JSON carries bytes as base64, MessagePack as they are. */
export function toWire(text, { messagePack }) {
  return messagePack ? Buffer.from(text) : Buffer.from(text).toString("base64");
}

export function fromWire(bytes, { messagePack }) {
  return messagePack ? Buffer.from(bytes).toString() : Buffer.from(bytes, "base64").toString();
}
