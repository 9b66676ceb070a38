import { Route, Router } from 'preact-iso';
import { useEffect, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { Profile } from './api-types.js';
import { BASE, href, useAddress } from './address.js';
import { AuditPage } from './audit.page.js';
import { ConnectionsPage } from './connections.page.js';
import { ConnectionState, Disconnected } from './connection-state.js';
import { Dialog } from './dialogs.js';
import { EventsPage } from './events.page.js';
import { Icon, type IconName } from './icon.js';
import { JobsPage } from './jobs.page.js';
import { watchOverview, troubles } from './overview.js';
import { OverviewPage } from './overview.page.js';
import { Empty } from './parts.js';
import { logOut } from './session.js';
import { SettingsPage } from './settings.page.js';
import { chooseTheme, isDark } from './theme.js';
import { tellError } from './toasts.js';
import { UserPage } from './user.page.js';
import { UsersPage } from './users.page.js';
import { WebhookPage } from './webhook.page.js';
import { WebhooksPage } from './webhooks.page.js';

interface Place {
  path: string;
  name: string;
  icon: IconName;
}

const PLACES: readonly Place[] = [
  { path: '/', name: 'Overview', icon: 'overview' },
  { path: '/events', name: 'Events', icon: 'events' },
  { path: '/jobs', name: 'Jobs', icon: 'jobs' },
  { path: '/webhooks', name: 'Webhooks', icon: 'webhooks' },
  { path: '/connections', name: 'Connections', icon: 'connections' },
  { path: '/users', name: 'Users', icon: 'users' },
  { path: '/audit', name: 'Audit', icon: 'audit' },
  { path: '/settings', name: 'Settings', icon: 'settings' },
];
/** How many of them a phone shows beside the menu. */
const ON_PHONE = 4;

/** What an admin sees around every page: where to go, who is there, and whether the page is live. */
export function Shell({ me }: { me: Profile }) {
  const { path } = useAddress();
  const [hasMenu, setMenu] = useState(false);
  useEffect(() => watchOverview(), []);
  useEffect(() => {
    const place = PLACES.findLast((one) => isAt(path, one));
    document.title = `${place?.name ?? 'Not found'} · Herald`;
    setMenu(false);
  }, [path]);
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to the page
      </a>
      <aside class="side">
        <div class="brand">
          <img src={new URL('./icon.svg', import.meta.url).href} alt="" width="24" height="24" />
          Herald
        </div>
        <nav aria-label="Pages" class="side-nav">
          {PLACES.map((place) => (
            <NavLink key={place.path} place={place} path={path} />
          ))}
        </nav>
        <div class="side-foot">
          <ConnectionState />
          <Account me={me} />
        </div>
      </aside>
      <header class="top">
        <div class="brand">
          <img src={new URL('./icon.svg', import.meta.url).href} alt="" width="24" height="24" />
          Herald
        </div>
        <ConnectionState />
      </header>
      <main id="main" class="main" tabIndex={-1}>
        <Disconnected />
        <Pages />
      </main>
      <nav aria-label="Pages" class="bottom-nav">
        {PLACES.slice(0, ON_PHONE).map((place) => (
          <NavLink key={place.path} place={place} path={path} />
        ))}
        <button type="button" class="nav-link" aria-haspopup="dialog" onClick={() => setMenu(true)}>
          <Icon name="more" />
          More
        </button>
      </nav>
      {hasMenu && (
        <Dialog title="Menu" onClose={() => setMenu(false)}>
          <nav aria-label="More pages" class="menu-nav">
            {PLACES.slice(ON_PHONE).map((place) => (
              <NavLink key={place.path} place={place} path={path} />
            ))}
          </nav>
          <Account me={me} />
        </Dialog>
      )}
    </div>
  );
}

function Pages() {
  return (
    <Router>
      <Route path={BASE} component={OverviewPage} />
      <Route path={`${BASE}/events`} component={EventsPage} />
      <Route path={`${BASE}/jobs`} component={JobsPage} />
      <Route path={`${BASE}/webhooks`} component={WebhooksPage} />
      <Route path={`${BASE}/webhooks/:id`} component={WebhookPage} />
      <Route path={`${BASE}/connections`} component={ConnectionsPage} />
      <Route path={`${BASE}/users`} component={UsersPage} />
      <Route path={`${BASE}/users/:id`} component={UserPage} />
      <Route path={`${BASE}/audit`} component={AuditPage} />
      <Route path={`${BASE}/settings`} component={SettingsPage} />
      <Route default component={NotFound} />
    </Router>
  );
}

function NavLink({ place, path }: { place: Place; path: string }) {
  const count = troubles.value[place.path] ?? 0;
  return (
    <a class="nav-link" href={href(place.path)} aria-current={isAt(path, place) ? 'page' : undefined}>
      <Icon name={place.icon} />
      {place.name}
      {count > 0 && (
        <span class="nav-count">
          {count > 99 ? '99+' : count}
          <span class="hidden"> need attention</span>
        </span>
      )}
    </a>
  );
}

function Account({ me }: { me: Profile }) {
  return (
    <div class="account">
      <span class="account-name" title={me.email}>
        {me.email}
      </span>
      <AccountButton
        icon={isDark.value ? 'sun' : 'moon'}
        label={isDark.value ? 'Light theme' : 'Dark theme'}
        onClick={() => chooseTheme(isDark.value ? 'light' : 'dark')}
      />
      <AccountButton icon="logout" label="Log out" onClick={() => void logOut().catch(tellError)} />
    </div>
  );
}

function AccountButton({ icon, label, onClick }: { icon: IconName; label: string; onClick: () => void }) {
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

function NotFound(): ComponentChildren {
  return (
    <Empty icon="search" title="There is no such page">
      <a href={href('/')}>Go to the overview</a>
    </Empty>
  );
}

function isAt(path: string, place: Place): boolean {
  return place.path === '/' ? path === '/' : path === place.path || path.startsWith(`${place.path}/`);
}

function skipToMain(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}
