import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

/** A connection that is not started yet. It never reconnects, so that the observations belong to one connection. */
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

/** Bytes are base64 in JSON, and bytes in MessagePack. */
export function toWire(text, { messagePack }) {
  return messagePack ? Buffer.from(text) : Buffer.from(text).toString("base64");
}

export function fromWire(bytes, { messagePack }) {
  return messagePack ? Buffer.from(bytes).toString() : Buffer.from(bytes, "base64").toString();
}
