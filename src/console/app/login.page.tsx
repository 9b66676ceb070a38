import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { HeraldError } from '../../client/herald-client.js';
import { logIn, verifyMfa } from './session.js';
import { toHeraldError } from './resource.js';

/** The way in: address and password, then a code where the account has a second factor. */
export function LoginPage({ notice }: { notice: string | undefined }) {
  const [mfaToken, setMfaToken] = useState<string>();
  const [error, setError] = useState<HeraldError>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const values = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string): string => {
      const value = values.get(name);
      return typeof value === 'string' ? value : '';
    };
    setBusy(true);
    setError(undefined);
    try {
      if (mfaToken === undefined) setMfaToken(await logIn(text('email').trim(), text('password')));
      else await verifyMfa(mfaToken, text('code').replaceAll(' ', ''));
    } catch (thrown) {
      setError(toHeraldError(thrown));
    }
    setBusy(false);
  };
  return (
    <main class="login">
      <form class="login-box" onSubmit={(event) => void submit(event)}>
        <img src={new URL('./icon.svg', import.meta.url).href} alt="" width="40" height="40" />
        <h1>{mfaToken === undefined ? 'Log in to Herald' : 'Second factor'}</h1>
        {notice !== undefined && error === undefined && <p class="notice">{notice}</p>}
        {error && (
          <p class="notice notice-bad" role="alert">
            {error.message}
            {error.retryAfterSeconds !== undefined && `. Try again in ${error.retryAfterSeconds} s.`}
          </p>
        )}
        {mfaToken === undefined ? <Credentials /> : <Code />}
        <button type="submit" class="button button-primary" disabled={isBusy} aria-busy={isBusy}>
          {isBusy && <span class="spinner" aria-hidden="true" />}
          {mfaToken === undefined ? 'Log in' : 'Verify'}
        </button>
        {mfaToken !== undefined && (
          <button type="button" class="button" onClick={() => setMfaToken(undefined)}>
            Back
          </button>
        )}
      </form>
    </main>
  );
}

function Credentials() {
  const id = useId();
  return (
    <>
      <div class="field">
        <label for={`${id}-email`}>Email address</label>
        <input id={`${id}-email`} name="email" type="email" autocomplete="username" required autofocus />
      </div>
      <div class="field">
        <label for={`${id}-password`}>Password</label>
        <input id={`${id}-password`} name="password" type="password" autocomplete="current-password" required />
      </div>
    </>
  );
}

function Code() {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  return (
    <div class="field">
      <label for={id}>Code of your app, or a recovery code</label>
      <input ref={input} id={id} name="code" autocomplete="one-time-code" inputMode="text" maxLength={32} required />
    </div>
  );
}
