import { overview } from './overview.js';
import { Facts, PageHead } from './parts.js';
import { formatDuration } from './format.js';
import { session } from './session.js';
import { chooseTheme, theme, type Theme } from './theme.js';

const THEMES: readonly (readonly [Theme, string])[] = [
  ['auto', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

/** What this browser remembers, and what this is. */
export function SettingsPage() {
  const me = session.value.status === 'open' ? session.value.me : undefined;
  const { version = '–', uptimeSeconds } = overview.value ?? {};
  return (
    <>
      <PageHead title="Settings" />
      <section class="card" aria-label="Appearance">
        <fieldset class="choices">
          <legend>Theme</legend>
          {THEMES.map(([value, name]) => (
            <label key={value}>
              <input type="radio" name="theme" checked={theme.value === value} onChange={() => chooseTheme(value)} />
              {name}
            </label>
          ))}
        </fieldset>
      </section>
      <section class="card" aria-label="About">
        <Facts
          facts={[
            ['Version', version],
            ['Up', uptimeSeconds === undefined ? '–' : formatDuration(uptimeSeconds * 1000)],
            ['Logged in as', me?.email ?? '–'],
            ['Second factor', me?.mfaEnabled === true ? 'on' : 'off: turn it on, admins need it most'],
            ['Measurements', <a href="/metrics">/metrics, for Prometheus</a>],
            ['Readiness', <a href="/readiness">/readiness</a>],
          ]}
        />
      </section>
    </>
  );
}
