import { useEffect, useState } from 'preact/hooks';
import { LocationProvider } from 'preact-iso';
import type { HeraldError } from '../../client/herald-client.js';
import { Questions, ToastsOfPage } from './dialogs.js';
import { LoginPage } from './login.page.js';
import { Failure, Skeleton } from './parts.js';
import { toHeraldError } from './resource.js';
import { restoreSession, session } from './session.js';
import { Shell } from './shell.js';
import { BASE } from './address.js';

/** The whole page: the login, or what an admin sees. */
export function App() {
  const [error, setError] = useState<HeraldError>();
  const restore = async (): Promise<void> => {
    setError(undefined);
    await restoreSession().catch((thrown: unknown) => setError(toHeraldError(thrown)));
  };
  useEffect(() => void restore(), []);
  const state = session.value;
  return (
    <LocationProvider scope={BASE}>
      {state.status === 'open' && <Shell me={state.me} />}
      {state.status === 'anonymous' && <LoginPage notice={state.notice} />}
      {state.status === 'checking' && (
        <main class="login">{error ? <Failure error={error} retry={restore} /> : <Skeleton rows={4} />}</main>
      )}
      <Questions />
      <ToastsOfPage />
    </LocationProvider>
  );
}
