import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from './icon.js';

interface SearchFieldProps {
  label: string;
  placeholder?: string;
  value: string;
  /** Called once typing has paused. */
  onChange: (value: string) => void;
}

const PAUSE_MS = 250;

/** A field that narrows down what a page shows. */
export function SearchField({ label, placeholder, value, onChange }: SearchFieldProps) {
  const [typed, setTyped] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => setTyped(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <label class="search">
      <span class="hidden">{label}</span>
      <Icon name="search" />
      <input
        type="search"
        value={typed}
        placeholder={placeholder ?? label}
        maxLength={254}
        onInput={({ currentTarget }) => {
          const text = currentTarget.value;
          setTyped(text);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => latest.current(text.trim()), PAUSE_MS);
        }}
      />
    </label>
  );
}
