/** Keys whose values must never be printed, wherever they stand. */
const SECRET_KEY =
  /pass(?:word|wd|phrase)?$|^pass|secret|token|credential|^auth$|^auth[_-]|authorization|private[_-]?key|api[_-]?key|cookie[_-]key/i;

/** What is printed in a secret's place. */
export const MASK = "*****";

/** Whether the value of a key must not be printed. */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key);
}
