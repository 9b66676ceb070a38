import { AsyncLocalStorage } from 'node:async_hooks';

type Values = Readonly<Record<symbol, unknown>>;

/** The one storage of all of them: on Node 20 each storage looks at every promise there is. */
const storage = new AsyncLocalStorage<Values>();

/** A value that holds for some work and everything it starts, as `AsyncLocalStorage` has it. */
export class AsyncVariable<T> {
  private readonly key = Symbol('AsyncVariable');

  /** The value that holds here, if one does. */
  get(): T | undefined {
    return storage.getStore()?.[this.key] as T | undefined;
  }

  /** Runs `work` and everything it starts under a value. */
  run<R>(value: T | undefined, work: () => R): R {
    return storage.run({ ...storage.getStore(), [this.key]: value }, work);
  }
}
