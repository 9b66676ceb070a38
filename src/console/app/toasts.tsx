import { signal } from '@preact/signals';
import { HeraldError } from '../../client/herald-client.js';
import { Icon } from './icon.js';

interface Toast {
  id: number;
  kind: 'ok' | 'bad';
  text: string;
  requestId?: string;
}

const OK_MS = 5000;
const BAD_MS = 12_000;

const toasts = signal<readonly Toast[]>([]);
let lastId = 0;

/** Tells of something that went well. */
export function tell(text: string): void {
  add({ kind: 'ok', text }, OK_MS);
}

/** Tells of something that failed, with the id that finds it in the log. */
export function tellError(error: unknown): void {
  const { message, requestId } =
    error instanceof HeraldError ? error : { message: String(error), requestId: undefined };
  add({ kind: 'bad', text: message, ...(requestId !== undefined && { requestId }) }, BAD_MS);
}

function add(toast: Omit<Toast, 'id'>, ms: number): void {
  const id = (lastId += 1);
  toasts.value = [...toasts.value.slice(-3), { ...toast, id }];
  setTimeout(() => dismiss(id), ms);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Shows what {@link tell} and {@link tellError} said, for a while. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, kind, text, requestId }) => (
        <div key={id} class={`toast toast-${kind}`}>
          <Icon name={kind === 'ok' ? 'check' : 'alert'} />
          <div class="toast-text">
            {text}
            {requestId !== undefined && <div class="toast-id">Request {requestId}</div>}
          </div>
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
