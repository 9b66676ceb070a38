import { signal } from '@preact/signals';

/** What the page looks like; `auto` follows the system. */
export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'herald.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

/** The theme that was chosen. */
export const theme = signal<Theme>(readTheme());
/** Whether the page is dark now. */
export const isDark = signal(false);

/** Shows the page in the chosen theme, and follows the system from now on where that was chosen. */
export function applyTheme(): void {
  const show = (): void => {
    isDark.value = theme.value === 'dark' || (theme.value === 'auto' && system.matches);
    document.documentElement.dataset['theme'] = isDark.value ? 'dark' : 'light';
  };
  system.addEventListener('change', show);
  theme.subscribe(show);
}

/** Chooses a theme, and keeps the choice. */
export function chooseTheme(chosen: Theme): void {
  localStorage.setItem(KEY, chosen);
  theme.value = chosen;
}

function readTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'auto';
}
