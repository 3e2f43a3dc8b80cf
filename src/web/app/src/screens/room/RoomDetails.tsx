import type { Conversation } from "../../sdk.js";
export function RoomDetails({ conversation }: { conversation: Conversation }) { return <p>{conversation.title}</p>; }
