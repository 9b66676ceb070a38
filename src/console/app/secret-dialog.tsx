import { Dialog } from './dialogs.js';
import { copy } from './parts.js';
import { formatExact } from './format.js';
import { Icon } from './icon.js';

interface SecretDialogProps {
  secret: string;
  /** Until when the one before it signs as well. */
  previousUntil?: number;
  onClose: () => void;
}

/** Shows a secret, the only time there is. */
export function SecretDialog({ secret, previousUntil, onClose }: SecretDialogProps) {
  return (
    <Dialog title="The signing secret" onClose={onClose}>
      <p class="dialog-text">
        This is the only time it is shown. Give it to the receiver, which verifies the signature with it.
        {previousUntil !== undefined &&
          previousUntil > Date.now() &&
          ` The one before it signs as well until ${formatExact(previousUntil)}.`}
      </p>
      <div class="secret">
        <code>{secret}</code>
        <button type="button" class="button" onClick={() => void copy(secret)}>
          <Icon name="copy" /> Copy
        </button>
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button button-primary" onClick={onClose}>
          I have it
        </button>
      </footer>
    </Dialog>
  );
}
