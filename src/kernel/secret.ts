/** Keys whose values must never be printed, wherever they stand. */
const SECRET_KEY = new RegExp(
  [
    "pass(?:word|wd|phrase)|^pass|pass[_-]?[0-9]*$|pwd",
    "secret|token|credential",
    "(?:^|[_-])auth(?:$|[_-])|authorization",
    "(?:private|api|access|signing|encryption)[_-]?key|cookie[_-]key",
  ].join("|"),
  "i",
);

/** What is printed in a secret's place. */
export const MASK = "*****";

/** Whether the value of a key must not be printed. */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key);
}
