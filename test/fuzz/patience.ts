/** Longer than this without what is due is silence. */
const SILENCE_MS = 60_000;

/** Waits for what a peer owes, as long as it is worth waiting. */
export class Patience {
  private wake: () => void = () => undefined;
  private isEnded = false;

  /** True once nothing comes any more. */
  get isOver(): boolean {
    return this.isEnded;
  }

  /** Has another look taken at what is waited for: something has come. */
  look(): void {
    this.wake();
  }

  /** Ends the waiting: nothing comes any more. */
  end(): void {
    this.isEnded = true;
    this.wake();
  }

  /** Waits until it is so, or nothing comes any more; returns false after a minute of neither. */
  async until(isSo: () => boolean): Promise<boolean> {
    const deadline = Date.now() + SILENCE_MS;
    while (!isSo() && !this.isEnded) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        timer = setTimeout(resolve, deadline - Date.now());
      });
      clearTimeout(timer);
      if (Date.now() >= deadline && !isSo()) return false;
    }
    return true;
  }
}
