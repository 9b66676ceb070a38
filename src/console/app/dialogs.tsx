import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Icon } from './icon.js';
import { ActionButton } from './button.js';
import { Toasts } from './toasts.js';

interface DialogProps {
  title: string;
  onClose: () => void;
  /** A `drawer` stands at the side. @default 'box' */
  kind?: 'box' | 'drawer';
  children: ComponentChildren;
}

/** The ids of the open dialogs, the topmost last. */
const open = signal<readonly string[]>([]);

/** Toasts where no dialog covers them: what is behind a modal dialog is out of reach. */
export function ToastsOfPage() {
  return open.value.length === 0 ? <Toasts /> : null;
}

/** A modal dialog: the browser keeps the focus inside, closes it with Escape, and returns the focus. */
export function Dialog({ title, onClose, kind = 'box', children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const before = document.activeElement;
    const dialog = element.current;
    dialog?.showModal();
    open.value = [...open.peek(), titleId];
    return () => {
      open.value = open.peek().filter((id) => id !== titleId);
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={`dialog dialog-${kind}`}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
      {open.value.at(-1) === titleId && <Toasts />}
    </dialog>
  );
}

interface Question {
  title: string;
  text: ComponentChildren;
  /** What the button says that does it. */
  action: string;
  /** Asks for a text as well, such as a reason. */
  input?: { label: string; placeholder?: string };
  /** Does it; a failure is shown, and the dialog stays. */
  run: (input: string) => Promise<unknown>;
}

const question = signal<Question | undefined>(undefined);

/** Asks before something is done that cannot be taken back. */
export function ask(asked: Question): void {
  question.value = asked;
}

/** Shows what {@link ask} was asked. */
export function Questions() {
  const asked = question.value;
  return asked ? <QuestionDialog key={asked.title} {...asked} /> : null;
}

function QuestionDialog({ title, text, action, input, run }: Question) {
  const [typed, setTyped] = useState('');
  const close = (): void => {
    question.value = undefined;
  };
  const inputId = useId();
  return (
    <Dialog title={title} onClose={close}>
      <div class="dialog-text">{text}</div>
      {input && (
        <div class="field">
          <label for={inputId}>{input.label}</label>
          <input
            id={inputId}
            autofocus
            value={typed}
            placeholder={input.placeholder}
            maxLength={500}
            onInput={({ currentTarget }) => setTyped(currentTarget.value)}
          />
        </div>
      )}
      <footer class="dialog-foot">
        <button type="button" class="button" autofocus={!input} onClick={close}>
          Cancel
        </button>
        <ActionButton
          kind="danger"
          disabled={input !== undefined && typed.trim() === ''}
          run={async () => {
            await run(typed.trim());
            close();
          }}
        >
          {action}
        </ActionButton>
      </footer>
    </Dialog>
  );
}
