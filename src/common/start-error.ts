/** Why the start stops: a mistake that a person can mend, told in the sentence that mends it, without a stack. */
export class StartError extends Error {
  override readonly name: string = 'StartError';
}
