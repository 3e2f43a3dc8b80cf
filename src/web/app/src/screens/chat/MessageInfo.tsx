import { Avatar } from "../../components/Avatar.js";
import { Button } from "../../components/Button.js";
import { Dialog } from "../../components/Dialog.js";
import { VerifiedMark, type Verified } from "../../components/VerifiedMark.js";
import { fullTime } from "../../text/format.js";
import type { Message, RoomMarks } from "../../base/sdk.js";
import { strings } from "../../text/strings.js";

/** Who wrote a message, when it was sent and stored, and who has read it. */
export function MessageInfo({
  message,
  receipts,
  marks,
  me,
  nameOf,
  verified,
  onClose,
}: {
  message: Message;
  receipts: boolean;
  marks: RoomMarks;
  me: string;
  nameOf: (userId: string | undefined) => string;
  verified: (userId: string | undefined) => Verified | undefined;
  onClose: () => void;
}) {
  const readers = Object.entries(marks.read)
    .filter(([userId, upTo]) => userId !== me && userId !== message.from?.userId && upTo >= message.seq)
    .map(([userId]) => userId);
  return (
    <Dialog title={strings.chat.infoTitle} onClose={onClose}>
      <div className="body">
        <h2>{strings.chat.infoTitle}</h2>
        <div>
          <div className="small muted">{strings.chat.writtenBy}</div>
          {message.mine ? (
            <div>{strings.chat.writtenByYou}</div>
          ) : message.from ? (
            <>
              <div className="line named">
                <bdi>{nameOf(message.from.userId)}</bdi>
                <VerifiedMark verified={verified(message.from.userId)} />
              </div>
              <div className="small muted">{strings.chat.keysOf[verified(message.from.userId) ?? "no"]}</div>
            </>
          ) : (
            <div>{strings.chat.noAuthor}</div>
          )}
        </div>
        {message.sent && (
          <div>
            <div className="small muted">{strings.chat.sentAt}</div>
            <div>{fullTime(message.time)}</div>
            <div className="small muted">{strings.chat.sentAtHint}</div>
          </div>
        )}
        <div>
          <div className="small muted">{strings.chat.storedAt}</div>
          <div>{fullTime(message.at)}</div>
          <div className="small muted">{strings.chat.storedAtHint}</div>
        </div>
        <div className="stack tight">
          <div className="small muted">{strings.chat.readBy}</div>
          {readers.length === 0 && <div>{receipts ? strings.chat.readByNobody : strings.chat.receiptsOff}</div>}
          <ul className="stack tight">
            {readers.map((userId) => (
              <li key={userId} className="line">
                <Avatar name={nameOf(userId)} size="s" />
                <bdi>{nameOf(userId)}</bdi>
              </li>
            ))}
          </ul>
        </div>
        <div className="actions">
          <Button onClick={onClose}>{strings.common.close}</Button>
        </div>
      </div>
    </Dialog>
  );
}
