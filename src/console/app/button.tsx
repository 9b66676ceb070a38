import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { tellError } from './toasts.js';

interface ActionButtonProps {
  /** What it does; it shows that it is at it until then, and a failure is told. */
  run: () => Promise<unknown>;
  kind?: 'plain' | 'primary' | 'danger';
  small?: boolean;
  disabled?: boolean;
  label?: string;
  children: ComponentChildren;
}

/** A button for what takes a while. */
export function ActionButton({ run, kind = 'plain', small, disabled, label, children }: ActionButtonProps) {
  const [isBusy, setBusy] = useState(false);
  const isThere = useRef(true);
  useEffect(() => () => void (isThere.current = false), []);
  const act = async (event: Event): Promise<void> => {
    event.stopPropagation();
    if (isBusy) return;
    setBusy(true);
    try {
      await run();
    } catch (error) {
      tellError(error);
    } finally {
      if (isThere.current) setBusy(false);
    }
  };
  const size = small ? ' button-small' : '';
  return (
    <button
      type="button"
      class={`button button-${kind}${size}`}
      disabled={disabled}
      aria-busy={isBusy}
      aria-label={label}
      onClick={(event) => void act(event)}
    >
      {isBusy && <span class="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}
